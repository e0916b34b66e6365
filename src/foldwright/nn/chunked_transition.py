"""The pair transition with its residual in chunks of pairs, forward and backward, for the CPU.

It equals `(z + PairTransition(z)) * mask` to rounding; the tests compare them.
"""

from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from foldwright.nn.row_chunks import (
    add_linear_gradients,
    chunk_pairs,
    keeps_intermediates,
    normalise_rows,
    normalise_rows_backward,
)


def chunked_transition(
    z: Float[Tensor, "b n n c"], mask: Bool[Tensor, "b n n"], weights: tuple[Tensor, ...]
) -> Float[Tensor, "b n n c"]:
    """Layer norm, expansion, ReLU, contraction, residual, mask.

    `weights` are norm, expansion and contraction, each as weight and bias.
    """
    if torch.is_grad_enabled():
        updated: Tensor = _ChunkedTransition.apply(z, mask, *weights)
        return updated
    return _forward(z, mask, weights, keep=False)[0]


class _ChunkedTransition(torch.autograd.Function):
    """Of large tensors keeps only the input; of smaller ones the hidden layer too."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, mask: Tensor, *weights: Tensor) -> Tensor:
        updated, kept = _forward(z, mask, weights, keep=keeps_intermediates(z))
        ctx.save_for_backward(z, mask, kept, *weights)
        return updated

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        z, mask, kept, *weights = ctx.saved_tensors
        norm, shift, w_up, b_up, w_down, _ = weights
        flat, real = z.reshape(-1, z.shape[-1]), mask.reshape(-1, 1)
        flat_grad = grad.reshape(flat.shape)
        sums = [torch.zeros_like(weight) for weight in weights]
        grad_z = torch.empty_like(flat)
        for rows in chunk_pairs(len(flat)):
            normed, *moments = normalise_rows(flat[rows], norm, shift)
            hidden = kept[rows] if len(kept) else torch.addmm(b_up, normed, w_up.t()).relu_()
            grad_out = flat_grad[rows] * real[rows]
            add_linear_gradients(sums[4:6], grad_out, hidden)
            grad_hidden = torch.ops.aten.threshold_backward(grad_out @ w_down, hidden, 0)
            add_linear_gradients(sums[2:4], grad_hidden, normed)
            through = normalise_rows_backward(
                grad_hidden @ w_up, flat[rows], moments, norm, shift, sums[0:2]
            )
            torch.add(grad_out, through, out=grad_z[rows])
        return grad_z.view(z.shape), None, *sums


def _forward(
    z: Tensor, mask: Tensor, weights: tuple[Tensor, ...], *, keep: bool
) -> tuple[Tensor, Tensor]:
    """The masked sum, and the hidden layer (empty unless it is to be kept)."""
    norm, shift, w_up, b_up, w_down, b_down = weights
    flat, real = z.reshape(-1, z.shape[-1]), mask.reshape(-1, 1)
    updated = torch.empty_like(flat)
    kept = z.new_empty(len(flat) if keep else 0, w_up.shape[0])
    for rows in chunk_pairs(len(flat)):
        normed = normalise_rows(flat[rows], norm, shift)[0]
        hidden = torch.addmm(b_up, normed, w_up.t(), out=kept[rows] if keep else None)
        update = torch.addmm(b_down, hidden.relu_(), w_down.t())
        torch.add(flat[rows], update, out=updated[rows]).mul_(real[rows])
    return updated.view(z.shape), kept
