"""Invariant point attention over a dense pair representation."""

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from foldwright.geometry.rigid import Rigid
from foldwright.geometry.vectors import without_autocast
from foldwright.nn.linear import Linear

_NORM_EPS = 1e-8
_HEAD_WEIGHT_INIT = math.log(math.e - 1)


class InvariantPointAttention(nn.Module):
    """Attention between residues by features, pair bias and distances of points in their frames.

    Jumper et al. 2021, supplement, algorithm 22, with the parameter layout of Genie: point
    projections hold x, y and z in three blocks, key and value projections are fused per head, and
    the attended pair vector is the full one. Lengths are in Å. Returns the update without the
    residual. Frames may be improper (Frenet frames are).

    Not the dense case of `PairPointAttention`, though it is the same attention: that one projects
    pair vectors before they are attended, which no setting of Genie's weights repeats, and adds the
    terms of a logit in another order, so that designs of the published weights would change in
    their last digits.
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
    ) -> None:
        super().__init__()
        self.c_hidden = c_hidden
        self.num_heads = num_heads
        self.num_qk_points = num_qk_points
        self.num_v_points = num_v_points
        num_points = num_qk_points + num_v_points
        self.linear_q = Linear(c_s, num_heads * c_hidden)
        self.linear_kv = Linear(c_s, 2 * num_heads * c_hidden)
        self.linear_q_points = Linear(c_s, 3 * num_heads * num_qk_points)
        self.linear_kv_points = Linear(c_s, 3 * num_heads * num_points)
        self.linear_b = Linear(c_z, num_heads)
        self.head_weights = nn.Parameter(torch.full((num_heads,), _HEAD_WEIGHT_INIT))
        width = num_heads * (c_z + c_hidden + 4 * num_v_points)
        self.linear_out = Linear(width, c_s, init="final")

    def forward(
        self,
        s: Float[Tensor, "b n c_s"],
        z: Float[Tensor, "b n n c_z"],
        frames: Rigid,
        mask: Bool[Tensor, "b n"],
    ) -> Float[Tensor, "b n c_s"]:
        """Update the single representation from residues whose mask is set."""
        key, value = self._heads(self.linear_kv(s)).chunk(2, dim=-1)
        query = self._heads(self.linear_q(s))
        # Only differences of points enter the logits and the result is taken back into local
        # frames, so the origin is free; at the centroid the expanded squares keep their digits.
        centre = masked_centroid(frames.trans, mask)
        frames = Rigid(frames.rots, frames.trans - centre)
        query_points = self._global_points(self.linear_q_points(s), frames)
        key_value_points = self._global_points(self.linear_kv_points(s), frames)
        key_points, value_points = key_value_points.split(
            [self.num_qk_points, self.num_v_points], dim=-2
        )
        logits = self._scalar_logits(query, key) + self._point_logits(query_points, key_points)
        logits = logits + math.sqrt(1 / 3) * self.linear_b(z).permute(0, 3, 1, 2)
        attention = masked_softmax(logits, mask)
        return self._output(attention, value, value_points, z, frames)

    def _heads(self, projected: Tensor) -> Tensor:
        b, n, _ = projected.shape
        return projected.view(b, n, self.num_heads, -1).transpose(1, 2)

    def _global_points(self, projected: Tensor, frames: Rigid) -> Tensor:
        """Local point projections, x, y and z in blocks, to global points (b h n p 3)."""
        b, n, _ = projected.shape
        points = points_to_global(projected.view(b, n, 3, -1), frames)
        return points.view(b, n, 3, self.num_heads, -1).permute(0, 3, 1, 4, 2)

    def _scalar_logits(self, query: Tensor, key: Tensor) -> Tensor:
        return (query * math.sqrt(1 / (3 * self.c_hidden))) @ key.transpose(-1, -2)

    def _point_logits(self, query_points: Tensor, key_points: Tensor) -> Tensor:
        """Half the weighted sum of squared distances, expanded into one inner product."""
        weight = functional.softplus(self.head_weights) * math.sqrt(
            1 / (3 * self.num_qk_points * 9 / 2)
        )
        query, key = query_points.flatten(-2), key_points.flatten(-2)
        squares = query.square().sum(-1)[..., :, None] + key.square().sum(-1)[..., None, :]
        with without_autocast(query):  # large numbers whose difference is what counts
            distance = squares - 2 * query @ key.transpose(-1, -2)
        return -0.5 * weight[:, None, None] * distance

    def _output(
        self, attention: Tensor, value: Tensor, value_points: Tensor, z: Tensor, frames: Rigid
    ) -> Tensor:
        b, h, n, _ = attention.shape
        scalars = (attention @ value).transpose(1, 2).reshape(b, n, -1)
        with without_autocast(attention):
            points = attention @ value_points.flatten(-2)
        points = points.view(b, h, n, -1, 3).permute(0, 2, 4, 1, 3).reshape(b, n, 3, -1)
        x, y, z_axis = local = points_to_local(points, frames)
        norms = torch.sqrt(x.square() + y.square() + z_axis.square() + _NORM_EPS)
        pairs = (attention.permute(0, 2, 1, 3) @ z).reshape(b, n, -1)
        features = [scalars, *local, norms, pairs]
        update: Tensor = self.linear_out(torch.cat(features, dim=-1))
        return update


def points_to_global(local: Float[Tensor, "b n 3 p"], frames: Rigid) -> Float[Tensor, "b n 3 p"]:
    """Turn and move points, coordinate by coordinate.

    Written out because a product with tiny matrices is slow, and would lose digits under autocast.
    """
    x, y, z = local.unbind(2)
    axes = frames.rots[..., None].unbind(2)
    rows = [row[:, :, 0] * x + row[:, :, 1] * y + row[:, :, 2] * z for row in axes]
    return torch.stack(rows, dim=2) + frames.trans[..., None]


def points_to_local(
    points: Float[Tensor, "b n 3 p"], frames: Rigid
) -> list[Float[Tensor, "b n p"]]:
    """Coordinates x, y and z of global points in each residue's frame."""
    x, y, z = (points - frames.trans[..., None]).unbind(2)
    columns = frames.rots[..., None].unbind(3)
    return [column[:, :, 0] * x + column[:, :, 1] * y + column[:, :, 2] * z for column in columns]


def masked_centroid(
    points: Float[Tensor, "b n 3"], mask: Bool[Tensor, "b n"]
) -> Float[Tensor, "b 1 3"]:
    """Mean position of the real residues; the origin for a chain without any."""
    weight = mask[..., None].to(points.dtype)
    return (points * weight).sum(1, keepdim=True) / weight.sum(1, keepdim=True).clamp(min=1)


def masked_softmax(
    logits: Float[Tensor, "b h n m"], mask: Bool[Tensor, "b m"]
) -> Float[Tensor, "b h n m"]:
    """Softmax over real keys; a chain without any gives zero weights instead of NaN."""
    real = mask[:, None, None, :]
    weights = torch.softmax(logits.masked_fill(~real, torch.finfo(logits.dtype).min), dim=-1)
    return weights * real
