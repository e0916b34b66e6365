"""Which residues a residue looks at in a sparse pair representation."""

from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

NeighbourChoice = Literal["coordinate", "sequence", "hybrid"]

_CHUNK_ELEMENTS = 2**20
_LEAST_CHUNKS = 4


@torch.no_grad()
def choose_neighbours(
    positions: Float[Tensor, "b n 3"],
    mask: Bool[Tensor, "b n"],
    *,
    count: int,
    choice: NeighbourChoice,
) -> tuple[Int[Tensor, "b n k"], Bool[Tensor, "b n k"]]:
    """Choose at most `count` real residues for every real residue, itself first.

    `coordinate` takes the nearest in space, `sequence` the nearest along the chain, `hybrid` a
    window of `count // 4` residues to either side and the nearest in space for the rest. Rows are
    searched in chunks, so that no table of all pairs exists. Returns indices and which of them are
    there: a chain with fewer residues than `count` and a padded residue leave places empty. Ties
    go to the lower index.
    """
    n = positions.shape[1]
    count = min(count, n)
    rows = max(1, min(_CHUNK_ELEMENTS // n, -(-n // _LEAST_CHUNKS)))
    found = [
        _nearest(_rank_key(positions, start, rows, count=count, choice=choice), mask, count)
        for start in range(0, n, rows)
    ]
    index = torch.cat([index for index, _ in found], dim=1)
    present = torch.cat([present for _, present in found], dim=1)
    return index, present & mask[..., None]


def _rank_key(
    positions: Tensor, start: int, rows: int, *, count: int, choice: NeighbourChoice
) -> Tensor:
    """Small for residues to take first: the residue itself has the smallest key of its row."""
    b, n, _ = positions.shape
    place = torch.arange(n, device=positions.device)
    separation = (place[start : start + rows, None] - place).abs().to(positions.dtype)
    if choice == "sequence":
        return separation.expand(b, -1, -1)
    chunk = positions[:, start : start + rows]
    axes = zip(chunk.unbind(-1), positions.unbind(-1), strict=True)
    key: Tensor = sum(
        ((row[:, :, None] - column[:, None]).square() for row, column in axes),
        torch.zeros_like(separation),
    )
    # below every squared distance, so that the window comes first, from its middle outwards
    window = count // 4 if choice == "hybrid" else 0
    return torch.where(separation <= window, separation - (window + 1), key)


def _nearest(key: Tensor, mask: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The smallest keys of each row, rising, the lower index first where they are equal."""
    key = key.masked_fill(~mask[:, None], torch.inf)
    # one more than asked for, to see whether a tie decides who is taken
    found, index = key.topk(min(count + 1, key.shape[-1]), dim=-1, largest=False)
    if _cuts_a_tie(found, count):
        index = torch.sort(key, dim=-1, stable=True).indices
    else:
        index = index[..., :count].sort(dim=-1).values
        index = index.gather(-1, key.gather(-1, index).sort(dim=-1, stable=True).indices)
    index = index[..., :count].clone()
    return index, torch.isfinite(key.gather(-1, index))


def _cuts_a_tie(found: Tensor, count: int) -> bool:
    if found.shape[-1] <= count:
        return False
    last = found[..., count - 1]
    return bool(((last == found[..., count]) & torch.isfinite(last)).any())
