"""Pair track of long chains: factorised and sparse pairs, in linear memory."""

from collections.abc import Callable
from functools import partial

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from foldwright.geometry.rigid import Rigid
from foldwright.geometry.vectors import without_autocast
from foldwright.models.backbone.config import GenieConfig
from foldwright.models.backbone.features import BASIS_COUNT, distance_basis
from foldwright.nn.linear import Linear
from foldwright.nn.neighbours import choose_neighbours
from foldwright.nn.pair import FactorizedPair, SparsePair
from foldwright.nn.pair_triangle import (
    ChannelTransition,
    FactorizedTriangleMultiplication,
    FactorTransition,
    RankMix,
)
from foldwright.nn.residue_chunks import map_residues, residues_per_chunk

_DISTANCE_EPS = 1e-10


class SparsePairFeatureNet(nn.Module):
    """The entries of `PairFeatureNet` at chosen neighbours, with the same parameters."""

    def __init__(self, config: GenieConfig) -> None:
        super().__init__()
        self.clip = config.relative_position_clip
        self.template = config.template
        self.count = config.pair_neighbours
        self.choice = config.neighbour_choice
        self.linear_s_p_i = Linear(config.c_s, config.c_p)
        self.linear_s_p_j = Linear(config.c_s, config.c_p)
        self.linear_relpos = Linear(2 * self.clip + 1, config.c_p)
        width = 1 if self.template == "distance" else BASIS_COUNT + 12
        self.linear_template = Linear(width, config.c_p)
        self.linear_self_condition = (
            Linear(BASIS_COUNT, config.c_p, bias=False) if config.self_conditioning else None
        )

    def forward(
        self,
        s: Float[Tensor, "b n c_s"],
        frames: Rigid,
        mask: Bool[Tensor, "b n"],
        previous: Float[Tensor, "b n 3"] | None = None,
    ) -> SparsePair:
        """Choose neighbours by the noised chain and describe them; `previous` is in Å."""
        index, present = choose_neighbours(frames.trans, mask, count=self.count, choice=self.choice)
        z = self.linear_s_p_i(s)[:, :, None] + rows_at(self.linear_s_p_j(s), index)
        place = torch.arange(mask.shape[1], device=mask.device)[None, :, None]
        offset = (place - index).clamp(-self.clip, self.clip) + self.clip
        # a column of the weights instead of a product with a one-hot vector
        z = z + nn.functional.embedding(offset, self.linear_relpos.weight.T)
        z = z + self.linear_relpos.bias + self.linear_template(self._template(frames, index))
        if previous is not None:
            if self.linear_self_condition is None:
                raise ValueError("this network was built without self_conditioning")
            distance = _distance(_offsets(previous, index))
            z = z + self.linear_self_condition(distance_basis(distance))
        return SparsePair(z * present[..., None], index, present)

    def _template(self, frames: Rigid, index: Tensor) -> Tensor:
        offset = _offsets(frames.trans, index)
        distance = _distance(offset)
        if self.template == "distance":
            return distance[..., None]
        inverse = frames.rots.transpose(-1, -2)[:, :, None]
        direction = (inverse * offset[..., None, :]).sum(-1) / (1.0 + distance[..., None])
        with without_autocast(offset):
            axes = rows_at(frames.rots.flatten(-2), index).unflatten(-1, (3, 3))
            turn = (inverse @ axes).flatten(-2)
        return torch.cat([distance_basis(distance), direction, turn], dim=-1)


class FactorizedPairFeatureNet(nn.Module):
    """Factors of the pair representation from residues and their neighbourhoods.

    Each residue's features and the mean of its neighbours' pair features are projected to its left
    and right factors, which are invariant to rotation and translation. Products of position
    encodings in the two factors are relative positions.
    """

    def __init__(self, config: GenieConfig) -> None:
        super().__init__()
        self.rank = config.pair_rank
        self.neighbours = SparsePairFeatureNet(config)
        width = config.c_s + config.c_p
        self.linear_left = Linear(width, config.pair_rank * config.c_p)
        self.linear_right = Linear(width, config.pair_rank * config.c_p)

    def forward(
        self,
        s: Float[Tensor, "b n c_s"],
        frames: Rigid,
        mask: Bool[Tensor, "b n"],
        previous: Float[Tensor, "b n 3"] | None = None,
    ) -> FactorizedPair:
        """Build the masked factors; `previous` is a clean estimate in Å."""
        near = self.neighbours(s, frames, mask, previous)
        count = near.present.sum(2, keepdim=True).clamp(min=1)
        surroundings = (torch.relu(near.values) * near.present[..., None]).sum(2) / count
        features = torch.cat([s, surroundings], dim=-1) * mask[..., None]
        left, right = (
            linear(features).unflatten(-1, (self.rank, -1)) * mask[..., None, None]
            for linear in (self.linear_left, self.linear_right)
        )
        return FactorizedPair(left, right)


class FactorizedTransformLayer(nn.Module):
    """Triangle multiplications and transition, each added by a learned mix of ranks.

    Works through the chain in chunks of residues and recomputes them in the backward pass: of a
    layer only the factors before each triangle are kept.
    """

    def __init__(self, config: GenieConfig) -> None:
        super().__init__()
        c_z, c_hidden = config.c_p, config.c_triangle_multiplication
        updates: dict[str, nn.Module] = {}
        if config.triangle_multiplication:
            updates = {
                "tri_mul_out": FactorizedTriangleMultiplication(
                    c_z, c_hidden, direction="outgoing"
                ),
                "tri_mul_in": FactorizedTriangleMultiplication(c_z, c_hidden, direction="incoming"),
            }
        self.triangles = nn.ModuleDict(updates)
        self.triangle_mixes = nn.ModuleDict({name: RankMix(config.pair_rank) for name in updates})
        self.dropout = nn.Dropout(config.pair_dropout)
        self.transition = FactorTransition(c_z, config.pair_expansion)
        self.transition_mix = RankMix(config.pair_rank)

    def forward(self, z: FactorizedPair, mask: Bool[Tensor, "b n"]) -> FactorizedPair:
        """Apply the updates in the order of the dense layer."""
        for name, triangle in self.triangles.items():
            inner = triangle.contract(z, mask)
            z = _in_chunks(partial(self._add_triangle, name, inner), z, mask)
        return _in_chunks(self._add_transition, z, mask)

    def _add_triangle(
        self, name: str, inner: Tensor, z: FactorizedPair, mask: Tensor
    ) -> FactorizedPair:
        update = self.triangles[name].update(z, inner)
        update = FactorizedPair(self._drop(update.left), self._drop(update.right))
        mixed: FactorizedPair = self.triangle_mixes[name](z, update)
        return mixed

    def _add_transition(self, z: FactorizedPair, mask: Tensor) -> FactorizedPair:
        z = self.transition_mix(z, self.transition(z))
        real = mask[:, :, None, None]
        return FactorizedPair(z.left * real, z.right * real)

    def _drop(self, factor: Tensor) -> Tensor:
        """Dropout with one mask for all ranks: what is dropped is a channel of a residue."""
        keep: Tensor = self.dropout(torch.ones_like(factor[:, :, :1]))
        return factor * keep


def _in_chunks(
    function: Callable[[FactorizedPair, Tensor], FactorizedPair], z: FactorizedPair, mask: Tensor
) -> FactorizedPair:
    """Apply a function that treats residues one by one; intermediates live for one chunk."""

    def on_factors(left: Tensor, right: Tensor, mask: Tensor) -> tuple[Tensor, ...]:
        out = function(FactorizedPair(left, right), mask)
        return out.left, out.right

    b, _, r, _ = z.left.shape
    left, right = map_residues(on_factors, (z.left, z.right, mask), rows=residues_per_chunk(b * r))
    return FactorizedPair(left, right)


class SparseTransformLayer(nn.Module):
    """A transition on the neighbours' vectors."""

    def __init__(self, config: GenieConfig) -> None:
        super().__init__()
        self.transition = ChannelTransition(config.c_p, config.pair_expansion)

    def forward(self, z: SparsePair, mask: Bool[Tensor, "b n"]) -> SparsePair:
        """Transform the vectors; the neighbours stay."""
        real = (z.present & mask[..., None])[..., None]
        return SparsePair((z.values + self.transition(z.values)) * real, z.index, z.present)


def rows_at(
    features: Float[Tensor, "b n c"], index: Int[Tensor, "b n k"]
) -> Float[Tensor, "b n k c"]:
    """Take the features of every residue's neighbours."""
    flat = index.flatten(1)[..., None].expand(-1, -1, features.shape[-1])
    return features.gather(1, flat).unflatten(1, index.shape[1:])


def _offsets(positions: Tensor, index: Tensor) -> Tensor:
    return rows_at(positions, index) - positions[:, :, None]


def _distance(offset: Tensor) -> Tensor:
    # as between all residues: 1e-5 at the residue itself, so that gradients exist
    return torch.sqrt(_DISTANCE_EPS + offset.square().sum(-1))
