"""Pair representations: dense, as two factors, or for chosen neighbours only."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


@dataclass(frozen=True)
class DensePair:
    """One vector for every pair of residues; memory grows with the square of the length."""

    values: Float[Tensor, "b n n c"]

    def materialise(self) -> Float[Tensor, "b n n c"]:
        """Return the values themselves."""
        return self.values


@dataclass(frozen=True)
class FactorizedPair:
    """The pair tensor z_ij = sum_r left_ir * right_jr, channel by channel, of rank r.

    Memory grows linearly with the length.
    """

    left: Float[Tensor, "b n r c"]
    right: Float[Tensor, "b n r c"]

    def materialise(self) -> Float[Tensor, "b n n c"]:
        """Multiply the factors out; for tests and short chains."""
        return torch.einsum("birc,bjrc->bijc", self.left, self.right)


@dataclass(frozen=True)
class SparsePair:
    """Vectors of k chosen neighbours j = index[i] of every residue i.

    `present` is False where a residue has fewer than k neighbours; the index and the values of such
    a place mean nothing. No neighbour of a residue appears twice.
    """

    values: Float[Tensor, "b n k c"]
    index: Int[Tensor, "b n k"]
    present: Bool[Tensor, "b n k"]

    def materialise(self) -> Float[Tensor, "b n n c"]:
        """Put the values in their places, zero elsewhere; for tests and short chains."""
        b, n, _, c = self.values.shape
        dense = self.values.new_zeros(b, n, n, c)
        values = self.values * self.present[..., None]
        return dense.scatter_add(2, self.index[..., None].expand_as(values), values)


PairRepresentation = DensePair | FactorizedPair | SparsePair
