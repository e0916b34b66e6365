"""Pair track of long chains: factorised and sparse pairs, in linear memory."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from foldwright.geometry.rigid import Rigid
from foldwright.geometry.vectors import without_autocast
from foldwright.models.backbone.config import GenieConfig
from foldwright.models.backbone.features import BASIS_COUNT, distance_basis
from foldwright.models.backbone.pair_transitions import (
    FactorConvolution,
    factor_transition,
    vector_transition,
)
from foldwright.models.backbone.row_attention import row_attentions
from foldwright.nn.dropout import AxisDropout
from foldwright.nn.factor_attention import FactorizedRowAttention
from foldwright.nn.linear import Linear
from foldwright.nn.neighbours import choose_neighbours
from foldwright.nn.pair import FactorizedPair, SparsePair
from foldwright.nn.pair_recompression import RankMix, RankTruncation
from foldwright.nn.pair_triangle import FactorizedTriangleMultiplication
from foldwright.nn.residue_chunks import map_recomputed, map_residues, residues_per_chunk
from foldwright.nn.sparse_edges import residue_rows
from foldwright.nn.sparse_triangle import SparseRowAttention, SparseTriangleMultiplication
from foldwright.nn.triangle import TriangleDirection, TriangleMultiplication

_DISTANCE_EPS = 1e-10
_MULTIPLICATIONS: dict[str, TriangleDirection] = {
    "tri_mul_out": "outgoing",
    "tri_mul_in": "incoming",
}


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
        describe = partial(self.describe, self.linear_s_p_j(s), frames, previous)
        rows = residues_per_chunk(index.shape[0] * index.shape[2])
        (values,) = map_recomputed(describe, (s, index, present, _places(mask)), rows=rows)
        return SparsePair(values, index, present)

    def describe(
        self,
        partners: Tensor,
        frames: Rigid,
        previous: Tensor | None,
        own: Float[Tensor, "b m c_s"],
        index: Int[Tensor, "b m k"],
        present: Bool[Tensor, "b m k"],
        place: Int[Tensor, "b m"],
    ) -> tuple[Float[Tensor, "b m k c"]]:
        """Describe the neighbours of some residues: those at `place`, of single features `own`.

        `partners` are the projected single features of the whole chain.
        """
        offset = (place[..., None] - index).clamp(-self.clip, self.clip) + self.clip
        # columns of the weights instead of a product with one-hot vectors, and sums in place: the
        # passes over the neighbours' features are what takes the time
        columns = self.linear_relpos.weight.T + self.linear_relpos.bias + self.linear_template.bias
        z = columns.index_select(0, offset.flatten())
        z = z.add_(residue_rows(partners, index).flatten(0, 2))
        template = self._template(frames, index, place).flatten(0, 2)
        z = z.addmm_(template, self.linear_template.weight.T)
        z = z.unflatten(0, index.shape) + self.linear_s_p_i(own)[:, :, None]
        if previous is not None:
            if self.linear_self_condition is None:
                raise ValueError("this network was built without self_conditioning")
            distance = _distance(_offsets(previous, index, place))
            z = z + self.linear_self_condition(distance_basis(distance))
        return (z * present[..., None],)

    def _template(self, frames: Rigid, index: Tensor, place: Tensor) -> Tensor:
        offset = _offsets(frames.trans, index, place)
        distance = _distance(offset)
        if self.template == "distance":
            return distance[..., None]
        rots = frames.rots.flatten(-2)
        inverse = _at(rots, place).unflatten(-1, (3, 3)).transpose(-1, -2)[:, :, None]
        direction = (inverse * offset[..., None, :]).sum(-1) / (1.0 + distance[..., None])
        with without_autocast(offset):
            axes = residue_rows(rots, index).unflatten(-1, (3, 3))
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
        net = self.neighbours
        index, present = choose_neighbours(frames.trans, mask, count=net.count, choice=net.choice)

        partners = net.linear_s_p_j(s)

        def around(*chunk: Tensor) -> tuple[Tensor]:
            (values,) = net.describe(partners, frames, previous, *chunk)  # zero where absent
            return (torch.relu(values).sum(2) / chunk[2].sum(2, keepdim=True).clamp(min=1),)

        rows = residues_per_chunk(index.shape[0] * index.shape[2])
        (surroundings,) = map_recomputed(around, (s, index, present, _places(mask)), rows=rows)
        features = torch.cat([s, surroundings], dim=-1) * mask[..., None]
        left, right = (
            linear(features).unflatten(-1, (self.rank, -1)) * mask[..., None, None]
            for linear in (self.linear_left, self.linear_right)
        )
        return FactorizedPair(left, right)


class FactorizedTransformLayer(nn.Module):
    """The updates of the dense layer on factors; sums are recompressed to the rank.

    Works through the chain in chunks of residues. The memory plan of the stack decides which layers
    keep their intermediates and which recompute them: they take 60 times a factor's memory.
    """

    def __init__(self, config: GenieConfig) -> None:
        super().__init__()
        c_z, c_hidden = config.c_p, config.c_triangle_multiplication
        names = _MULTIPLICATIONS if config.triangle_multiplication else {}
        self.triangles = nn.ModuleDict(
            {
                name: FactorizedTriangleMultiplication(c_z, c_hidden, direction=direction)
                for name, direction in names.items()
            }
        )
        self.triangle_mixes = nn.ModuleDict({name: _rank_sum(config) for name in names})
        self.attentions = nn.ModuleDict(
            {name: FactorizedRowAttention(block) for name, block in row_attentions(config).items()}
        )
        self.dropout = AxisDropout(config.pair_dropout, shared_dim=2)
        self.transition = factor_transition(config)
        self.transition_mix = _rank_sum(config)

    def forward(self, z: FactorizedPair, mask: Bool[Tensor, "b n"]) -> FactorizedPair:
        """Apply the updates in the order of the dense layer."""
        for name, triangle in self.triangles.items():
            assert isinstance(triangle, FactorizedTriangleMultiplication)
            update = partial(self._triangle, triangle, triangle.contract(z, mask))
            z = _add(self.triangle_mixes[name], z, update, mask)
        for attention in self.attentions.values():
            change = self._drop(attention(z, mask))
            # one factor's change is zero: the sum of the pairs keeps the rank, exactly
            z = FactorizedPair(z.left + change.left, z.right + change.right)
        if isinstance(self.transition, FactorConvolution):  # looks at neighbouring residues
            mixed: FactorizedPair = self.transition_mix(z, self.transition(z, mask))
            return mixed
        return _add(self.transition_mix, z, self.transition, mask)

    def _triangle(
        self, triangle: FactorizedTriangleMultiplication, inner: Tensor, z: FactorizedPair
    ) -> FactorizedPair:
        return self._drop(triangle.update(z, inner))

    def _drop(self, update: FactorizedPair) -> FactorizedPair:
        """Dropout with one mask for all ranks: what is dropped is a channel of a residue."""
        return FactorizedPair(self.dropout(update.left), self.dropout(update.right))


def _rank_sum(config: GenieConfig) -> nn.Module:
    return RankMix(config.pair_rank) if config.pair_recompression == "mix" else RankTruncation()


def _add(
    recompress: nn.Module,
    z: FactorizedPair,
    update: Callable[[FactorizedPair], FactorizedPair],
    mask: Tensor,
) -> FactorizedPair:
    """Add an update that treats residues one by one, and recompress the sum."""
    if isinstance(recompress, RankMix):  # it, too, looks at one residue at a time
        return _in_chunks(lambda part: recompress(part, update(part)), z, mask)
    out: FactorizedPair = recompress(z, _in_chunks(update, z, mask))
    return out


def _in_chunks(
    function: Callable[[FactorizedPair], FactorizedPair], z: FactorizedPair, mask: Tensor
) -> FactorizedPair:
    """Apply a function that treats residues one by one; padding becomes zero."""

    def on_factors(left: Tensor, right: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        out = function(FactorizedPair(left, right))
        real = mask[:, :, None, None]
        return out.left * real, out.right * real

    b, _, r, _ = z.left.shape
    rows = residues_per_chunk(b * r)
    left, right = map_residues(on_factors, (z.left, z.right, mask), rows=rows)
    return FactorizedPair(left, right)


class SparseTransformLayer(nn.Module):
    """The updates of the dense layer, over the edges in the neighbour lists."""

    def __init__(self, config: GenieConfig) -> None:
        super().__init__()
        c_z, c_hidden = config.c_p, config.c_triangle_multiplication
        updates: dict[str, nn.Module] = {}
        if config.triangle_multiplication:
            for name, direction in _MULTIPLICATIONS.items():
                block = TriangleMultiplication(c_z, c_hidden, direction=direction)
                updates[name] = SparseTriangleMultiplication(block)
        for name, attention in row_attentions(config).items():
            updates[name] = SparseRowAttention(attention)
        self.updates = nn.ModuleDict(updates)
        self.dropout = nn.Dropout(config.pair_dropout)
        self.transition = vector_transition(config)

    def forward(self, z: SparsePair, mask: Bool[Tensor, "b n"]) -> SparsePair:
        """Apply the updates in the order of the dense layer; the neighbours stay."""
        z = replace(z, present=z.present & mask[..., None])
        for name, block in self.updates.items():
            z = replace(z, values=z.values + self._drop(name, block(z), z.index))
        rows = residues_per_chunk(z.index.shape[0] * z.index.shape[2])
        (values,) = map_recomputed(self._add_transition, (z.values, z.present), rows=rows)
        return replace(z, values=values)

    def _add_transition(self, values: Tensor, present: Tensor) -> tuple[Tensor]:
        return ((values + self.transition(values)) * present[..., None],)

    def _drop(self, name: str, update: Tensor, index: Tensor) -> Tensor:
        """Row or column dropout as in the dense layer: one mask for all pairs of a residue."""
        keep = self.dropout(torch.ones_like(update[:, :, 0]))
        by_row = name == "tri_att_end"
        return update * (keep[:, :, None] if by_row else residue_rows(keep, index))


def _places(mask: Tensor) -> Tensor:
    return torch.arange(mask.shape[1], device=mask.device).expand(mask.shape)


def _at(features: Tensor, place: Tensor) -> Tensor:
    return residue_rows(features, place[..., None]).squeeze(2)


def _offsets(positions: Tensor, index: Tensor, place: Tensor) -> Tensor:
    return residue_rows(positions, index) - _at(positions, place)[:, :, None]


def _distance(offset: Tensor) -> Tensor:
    # as between all residues: 1e-5 at the residue itself, so that gradients exist
    return torch.sqrt(_DISTANCE_EPS + offset.square().sum(-1))
