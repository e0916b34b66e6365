"""Which edges of a sparse pair representation close triangles, and which run the other way.

Here the residues of all chains of a batch stand in one list, so that an edge is one number:
residue times k plus its place among the residue's neighbours.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from foldwright.nn.pair import SparsePair


@dataclass(frozen=True)
class NeighbourGraph:
    """Neighbour lists of all residues of a batch, and the same lists in rising order."""

    index: Int[Tensor, "m k"]
    present: Bool[Tensor, "m k"]
    ordered: Int[Tensor, "m k"]
    place: Int[Tensor, "m k"]

    @classmethod
    def of(cls, pair: SparsePair) -> "NeighbourGraph":
        """Read the lists of a pair representation; chains get no edges to other chains."""
        b, n, _ = pair.index.shape
        first = n * torch.arange(b, device=pair.index.device)[:, None, None]
        present = pair.present.flatten(0, 1)
        # an absent place leads to residue 0 where a number is needed, and is never found
        index = (pair.index + first).flatten(0, 1).masked_fill(~present, 0)
        ordered, place = index.masked_fill(~present, b * n).sort(dim=-1)
        return cls(index, present, ordered, place)

    def third_edges(self, rows: slice) -> tuple[Int[Tensor, "i k k"], Bool[Tensor, "i k k"]]:
        """For residues i of `rows`, the edge from their neighbour p to their neighbour q at [p, q].

        Returns the edges' numbers and which of them exist.
        """
        near, present = self.index[rows], self.present[rows]
        edge, found = self._find(near, near[:, None].expand(-1, near.shape[1], -1))
        return edge, found & present[:, :, None] & present[:, None]

    def reverse_edges(self) -> tuple[Int[Tensor, "m k"], Bool[Tensor, "m k"]]:
        """For every edge from i to j the edge from j to i, and whether it exists."""
        own = torch.arange(len(self.index), device=self.index.device)[:, None, None]
        edge, found = self._find(self.index, own.expand(*self.index.shape, 1))
        return edge.squeeze(-1), found.squeeze(-1) & self.present

    def _find(self, owner: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
        """Edges from residues (i p) to residues (i p q): their numbers, and whether they exist."""
        k = self.index.shape[1]
        lists = self.ordered[owner]
        spot = torch.searchsorted(lists, wanted.contiguous()).clamp(max=k - 1)
        edge = owner[..., None] * k + self.place[owner].gather(-1, spot)
        return edge, lists.gather(-1, spot) == wanted


def residue_rows(
    features: Float[Tensor, "b n c"], index: Int[Tensor, "b m k"]
) -> Float[Tensor, "b m k c"]:
    """Take the features of the neighbours of some residues."""
    b, n, _ = features.shape
    # whole rows: `gather`, which takes number by number, needs twenty times as long on a CPU
    rows = index + n * torch.arange(b, device=index.device)[:, None, None]
    return features.flatten(0, 1).index_select(0, rows.flatten()).unflatten(0, index.shape)
