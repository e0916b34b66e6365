"""Work on chunks of residues: the intermediates of one chunk stay in the cache.

Without gradients memory for them does not grow with the length. With gradients it does, unless they
are recomputed in the backward pass: then only inputs and outputs of the whole live between the
passes.
"""

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

_VECTORS_PER_CHUNK = 2048

Result = TypeVar("Result")


def residues_per_chunk(vectors_per_residue: int) -> int:
    """Residues whose vectors make a chunk: enough for the matrix products, few for the cache."""
    return max(1, _VECTORS_PER_CHUNK // vectors_per_residue)


def map_residues(
    function: Callable[..., tuple[Tensor, ...]], tensors: tuple[Tensor, ...], *, rows: int
) -> tuple[Tensor, ...]:
    """Apply a function to chunks of `rows` residues and join what it returns.

    The residues are dimension 1 of every tensor in and out; a residue's results must come from
    its own entries alone.
    """
    parts = [function(*chunk) for chunk in _chunks(tensors, rows)]
    if len(parts) == 1:
        return parts[0]
    return tuple(torch.cat(pieces, dim=1) for pieces in zip(*parts, strict=True))


def map_recomputed(
    function: Callable[..., tuple[Tensor, ...]], tensors: tuple[Tensor, ...], *, rows: int
) -> tuple[Tensor, ...]:
    """Like `map_residues`, and the backward pass recomputes each chunk."""
    return map_residues(lambda *chunk: recomputed(function, chunk), tensors, rows=rows)


def sum_over_residues(
    function: Callable[..., Tensor], tensors: tuple[Tensor, ...], *, rows: int
) -> Tensor:
    """Add up what a function returns for chunks of `rows` residues.

    The backward pass recomputes each chunk: a sum is small beside what made it.
    """
    first, *others = _chunks(tensors, rows)
    total: Tensor = recomputed(function, first)
    for chunk in others:
        total = total + recomputed(function, chunk)
    return total


def _chunks(tensors: tuple[Tensor, ...], rows: int) -> list[tuple[Tensor, ...]]:
    # `split` and not slices: the gradient of a slice is as long as the whole
    return list(zip(*(tensor.split(rows, dim=1) for tensor in tensors), strict=True))


def recomputed(function: Callable[..., Result], tensors: tuple[Tensor, ...]) -> Result:
    """Call a function of tensors; its intermediates are computed anew in the backward pass."""
    if not torch.is_grad_enabled():
        return function(*tensors)
    result: Result = checkpoint(function, *tensors, use_reentrant=False)
    return result
