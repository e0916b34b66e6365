"""Doubly stochastic matrices from free ones: Sinkhorn-Knopp in log space."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from foldwright.geometry.vectors import at_least_float32, without_autocast


def doubly_stochastic(
    logits: Float[Tensor, "*batch m m"], *, iterations: int = 20
) -> Float[Tensor, "*batch m m"]:
    """Scale rows and columns of exp(logits) until both sum to one.

    Sinkhorn and Knopp 1967, with 20 rounds as in Xie et al. 2025 (mHC, arXiv 2512.24880). What is
    left of the row sums' error then is moved to where rows and columns lack it (Altschuler et al.
    2017, algorithm 2), so that all sums are one to rounding for any finite logits, also for those
    on which the iteration has not converged. Computed in float32 at least; the rounds are computed
    again in the backward pass, so that of a tensor of matrices only the logits are kept.
    """
    (wide,) = at_least_float32(logits)
    if torch.is_grad_enabled() and wide.requires_grad:
        out: Tensor = checkpoint(_balance, wide, iterations, use_reentrant=False)
        return out
    return _balance(wide, iterations)


def _balance(logits: Tensor, iterations: int) -> Tensor:
    for _ in range(iterations):
        logits = logits - logits.logsumexp(dim=-1, keepdim=True)
        logits = logits - logits.logsumexp(dim=-2, keepdim=True)
    with without_autocast(logits):
        return _fill_up(logits.exp())


def _fill_up(matrix: Tensor) -> Tensor:
    """Shrink rows and columns that sum to more than one, then add what all of them lack."""
    matrix = matrix / matrix.sum(dim=-1, keepdim=True).clamp(min=1)
    matrix = matrix / matrix.sum(dim=-2, keepdim=True).clamp(min=1)
    rows = (1 - matrix.sum(dim=-1, keepdim=True)).clamp(min=0)
    columns = (1 - matrix.sum(dim=-2, keepdim=True)).clamp(min=0)
    # what is smaller is rounding, which must not be divided by itself in the backward pass
    total = rows.sum(dim=-2, keepdim=True).clamp(min=torch.finfo(matrix.dtype).eps)
    return matrix + rows * (columns / total)
