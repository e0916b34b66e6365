"""Invariant point attention over any pair representation."""

import math
from dataclasses import replace
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from foldwright.geometry.rigid import Rigid
from foldwright.geometry.vectors import at_least_float32, without_autocast
from foldwright.nn.invariant_point_attention import (
    masked_centroid,
    points_to_global,
    points_to_local,
)
from foldwright.nn.linear import Linear
from foldwright.nn.pair import DensePair, FactorizedPair, PairRepresentation, SparsePair
from foldwright.nn.point_attention import (
    DenseTerms,
    ExtraKeys,
    FactorTerms,
    NeighbourTerms,
    PairTerms,
    PointAttentionTerms,
    PointBackend,
    attend,
    with_extra_keys,
)

BiasScaling = Literal["original", "scaled", "unscaled"]

_NORM_EPS = 1e-8
_HEAD_WEIGHT_INIT = math.log(math.e - 1)


class PairPointAttention(nn.Module):
    """Invariant point attention (Jumper et al. 2021, algorithm 22) in the layout of FlashIPA.

    The type of the pair representation chooses the algorithm: dense, lifted (linear in memory, any
    rank) or by neighbour lists. Pair vectors are projected to a quarter of their width before they
    are attended. Factors are projected one by one, biases included, which is not the projection of
    their product: a factorised pair and its materialised self are different inputs. Lengths are in
    the unit of the frames' origins, nm in FlashIPA; points are taken about the centroid, in at
    least float32, so that a chain far from the origin loses no digits. With `c_z=0` there are no
    pairs. Returns the update without the residual; padded queries get that of zero attention.

    `bias_scaling`: the factor sqrt(1/3) of the pair bias is applied by FlashIPA to dense pairs only
    (`original`); `scaled` applies it always, `unscaled` never.
    """

    def __init__(
        self,
        c_s: int,
        c_z: int,
        *,
        c_hidden: int,
        num_heads: int,
        num_qk_points: int,
        num_v_points: int,
        bias_scaling: BiasScaling = "scaled",
    ) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.num_qk_points = num_qk_points
        self.bias_scaling = bias_scaling
        num_points = num_qk_points + num_v_points
        self.linear_q = Linear(c_s, num_heads * c_hidden)
        self.linear_kv = Linear(c_s, 2 * num_heads * c_hidden)
        self.linear_q_points = Linear(c_s, 3 * num_heads * num_qk_points)
        self.linear_kv_points = Linear(c_s, 3 * num_heads * num_points)
        self.linear_b = Linear(c_z, num_heads) if c_z else None
        self.down_z = Linear(c_z, c_z // 4) if c_z else None
        self.head_weights = nn.Parameter(torch.full((num_heads,), _HEAD_WEIGHT_INIT))
        width = num_heads * (c_z // 4 + c_hidden + 4 * num_v_points)
        self.linear_out = Linear(width, c_s, init="final")

    def forward(
        self,
        s: Float[Tensor, "b n c_s"],
        pair: PairRepresentation | None,
        frames: Rigid,
        mask: Bool[Tensor, "b n"],
        *,
        extra: ExtraKeys | None = None,
        backend: PointBackend = "auto",
    ) -> Float[Tensor, "b n c_s"]:
        """Update the single representation from the residues whose mask is set.

        `extra` keys, atoms of a ligand for instance, are seen by every residue.
        """
        centre = masked_centroid(frames.trans, mask)
        frames = Rigid(frames.rots, frames.trans - centre)
        terms = self._terms(s, pair, frames, mask)
        if extra is not None:
            placed = replace(extra, positions=extra.positions - centre)
            terms = with_extra_keys(terms, placed)
        with without_autocast(s):
            attended = attend(terms, backend=backend)
            b, n = mask.shape
            points = attended.points.permute(0, 2, 4, 1, 3).reshape(b, n, 3, -1)
            x, y, z = local = points_to_local(points, frames)
            norms = torch.sqrt(x.square() + y.square() + z.square() + _NORM_EPS)
        features = [_merge_heads(attended.scalars), *local, norms]
        if attended.pairs is not None:
            features.append(_merge_heads(attended.pairs))
        update: Tensor = self.linear_out(torch.cat(features, dim=-1).to(s.dtype))
        return update

    def _terms(
        self, s: Tensor, pair: PairRepresentation | None, frames: Rigid, mask: Tensor
    ) -> PointAttentionTerms:
        query = self._heads(self.linear_q(s))
        key, value = self._heads(self.linear_kv(s)).chunk(2, dim=-1)
        query_points = self._global_points(self.linear_q_points(s), frames)
        key_value_points = self._global_points(self.linear_kv_points(s), frames)
        split = [self.num_qk_points, key_value_points.shape[3] - self.num_qk_points]
        key_points, value_points = key_value_points.split(split, dim=3)
        point_scale = math.sqrt(1 / (3 * self.num_qk_points * 9 / 2))
        return PointAttentionTerms(
            query=query * math.sqrt(1 / (3 * query.shape[-1])),
            key=key,
            value=value,
            query_points=query_points,
            key_points=key_points,
            value_points=value_points,
            point_weight=functional.softplus(self.head_weights) * point_scale,
            mask=mask,
            query_mask=mask,
            pair=self._pair_terms(pair),
        )

    def _pair_terms(self, pair: PairRepresentation | None) -> PairTerms | None:
        if self.linear_b is None or self.down_z is None:
            if pair is not None:
                raise ValueError("this point attention was built with c_z=0 but was given pairs")
            return None
        if isinstance(pair, DensePair):
            bias, values = self._project(pair.values)
            return DenseTerms(bias.permute(0, 3, 1, 2) * self._scale(dense=True), values)
        if isinstance(pair, SparsePair):
            bias, values = self._project(pair.values)
            bias = bias.permute(0, 3, 1, 2) * self._scale(dense=True)
            return NeighbourTerms(pair.index, pair.present, bias, values)
        if isinstance(pair, FactorizedPair):
            left_bias, left = self._project(pair.left)
            right_bias, right = self._project(pair.right)
            left_bias = left_bias * self._scale(dense=False)
            return FactorTerms(
                left_bias.permute(0, 3, 1, 2), right_bias.permute(0, 3, 1, 2), left, right
            )
        raise ValueError("this point attention needs pairs: build it with c_z=0 to go without")

    def _project(self, z: Tensor) -> tuple[Tensor, Tensor]:
        assert self.linear_b is not None
        assert self.down_z is not None
        return self.linear_b(z), self.down_z(z)

    def _scale(self, *, dense: bool) -> float:
        scaled = dense if self.bias_scaling == "original" else self.bias_scaling == "scaled"
        return math.sqrt(1 / 3) if scaled else 1.0

    def _heads(self, projected: Tensor) -> Tensor:
        b, n, _ = projected.shape
        return projected.view(b, n, self.num_heads, -1).transpose(1, 2)

    def _global_points(self, projected: Tensor, frames: Rigid) -> Tensor:
        """Local projections, x, y and z in blocks, to global points (b h n p 3)."""
        b, n, _ = projected.shape
        (local,) = at_least_float32(projected)
        points = points_to_global(local.view(b, n, 3, -1), frames)
        return points.view(b, n, 3, self.num_heads, -1).permute(0, 3, 1, 4, 2)


def _merge_heads(features: Tensor) -> Tensor:
    return features.transpose(1, 2).flatten(-2)
