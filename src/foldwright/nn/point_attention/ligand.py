"""Atoms that residues attend to beside one another: keys and values without a frame."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from foldwright.nn.linear import Linear
from foldwright.nn.point_attention.terms import (
    DenseTerms,
    FactorTerms,
    NeighbourTerms,
    PairTerms,
    PointAttentionTerms,
)


@dataclass(frozen=True)
class LigandAtoms:
    """Features and positions of a set of atoms, in the unit of the frames they stand beside."""

    features: Float[Tensor, "b l c"]
    positions: Float[Tensor, "b l 3"]
    mask: Bool[Tensor, "b l"]


@dataclass(frozen=True)
class ExtraKeys:
    """Keys and values of every head at points in space."""

    key: Float[Tensor, "b h l c"]
    value: Float[Tensor, "b h l c"]
    positions: Float[Tensor, "b l 3"]
    mask: Bool[Tensor, "b l"]


class LigandKeys(nn.Module):
    """Projects features of atoms to keys and values; their points are where the atoms are."""

    def __init__(self, c_ligand: int, *, c_hidden: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.linear_kv = Linear(c_ligand, 2 * num_heads * c_hidden)

    def forward(self, atoms: LigandAtoms) -> ExtraKeys:
        """Return keys and values, which move with the atoms."""
        heads = self.linear_kv(atoms.features).unflatten(-1, (self.num_heads, -1))
        key, value = heads.transpose(1, 2).chunk(2, dim=-1)
        return ExtraKeys(key, value, atoms.positions, atoms.mask)


def with_extra_keys(terms: PointAttentionTerms, extra: ExtraKeys) -> PointAttentionTerms:
    """Append keys that every query sees, without bias and with a pair vector of zero.

    Each of their key and value points is their position, which is about the same origin as the
    points of `terms`.
    """
    points = extra.positions.to(terms.key_points.dtype)[:, None, :, None]

    def appended(known: Tensor) -> Tensor:
        more = points.expand(-1, known.shape[1], -1, known.shape[3], -1)
        return torch.cat([known, more], dim=2)

    return replace(
        terms,
        key=torch.cat([terms.key, extra.key], dim=2),
        value=torch.cat([terms.value, extra.value], dim=2),
        key_points=appended(terms.key_points),
        value_points=appended(terms.value_points),
        mask=torch.cat([terms.mask, extra.mask], dim=1),
        pair=None if terms.pair is None else _pair_with_extra(terms.pair, extra.mask),
    )


def _pair_with_extra(pair: PairTerms, mask: Tensor) -> PairTerms:
    count = mask.shape[1]
    if isinstance(pair, DenseTerms):
        return DenseTerms(
            functional.pad(pair.bias, (0, count)), functional.pad(pair.values, (0, 0, 0, count))
        )
    if isinstance(pair, FactorTerms):
        return replace(
            pair,
            right_bias=functional.pad(pair.right_bias, (0, 0, 0, count)),
            right_values=functional.pad(pair.right_values, (0, 0, 0, 0, 0, count)),
        )
    b, n, _ = pair.index.shape
    place = torch.arange(n, n + count, device=mask.device)
    return NeighbourTerms(
        torch.cat([pair.index, place.expand(b, n, -1)], dim=2),
        torch.cat([pair.present, mask[:, None].expand(-1, n, -1)], dim=2),
        functional.pad(pair.bias, (0, count)),
        functional.pad(pair.values, (0, 0, 0, count)),
    )
