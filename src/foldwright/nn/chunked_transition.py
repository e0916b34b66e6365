"""The pair transition with its residual in chunks of pairs, forward and backward, for the CPU.

It equals `(z + PairTransition(z)) * mask` to rounding; the tests compare them.
"""

from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from foldwright.nn.row_chunks import (
    chunk_pairs,
    fold_norm,
    keeps_intermediates,
    normalise_rows,
    normalise_rows_backward,
    unfold_norm,
)


class TransitionWeights(NamedTuple):
    """Parameters of norm, expansion (h c) and contraction (c h)."""

    norm: Tensor
    norm_bias: Tensor
    up: Tensor
    up_bias: Tensor
    down: Tensor
    down_bias: Tensor

    def folded_up(self) -> Tensor:
        """Expansion with its norm and bias inside."""
        return fold_norm(self.up, self.up_bias, self.norm, self.norm_bias)


def chunked_transition(
    z: Float[Tensor, "b n n c"], mask: Bool[Tensor, "b n n"], weights: TransitionWeights
) -> Float[Tensor, "b n n c"]:
    """Layer norm, expansion, ReLU, contraction, residual, mask."""
    if torch.is_grad_enabled():
        updated: Tensor = _ChunkedTransition.apply(z, mask, *weights)
        return updated
    return _forward(z, mask, weights, keep=False)[0]


class _ChunkedTransition(torch.autograd.Function):
    """Of large tensors keeps only the input; of smaller ones the hidden layer too."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, mask: Tensor, *parameters: Tensor) -> Tensor:
        weights = TransitionWeights(*parameters)
        updated, kept = _forward(z, mask, weights, keep=keeps_intermediates(z))
        ctx.save_for_backward(z, mask, kept, *weights)
        return updated

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        z, mask, kept, *parameters = ctx.saved_tensors
        weights = TransitionWeights(*parameters)
        flat, real = z.reshape(-1, z.shape[-1]), _padding(mask)
        flat_grad, folded = grad.reshape(flat.shape), weights.folded_up()
        # sums of the expansion are transposed: that product is the faster one
        sum_up, sum_down = torch.zeros_like(folded.t()), torch.zeros_like(weights.down)
        sum_bias, grad_z = torch.zeros_like(weights.down_bias), torch.empty_like(flat)
        ones = torch.ones_like(weights.norm)
        for rows in chunk_pairs(len(flat), len(folded)):
            normed = normalise_rows(flat[rows], ones)
            hidden = kept[rows] if len(kept) else (normed.values @ folded.t()).relu_()
            grad_out = flat_grad[rows] if real is None else flat_grad[rows] * real[rows]
            sum_bias += grad_out.sum(0)
            sum_down.addmm_(grad_out.t(), hidden)
            grad_hidden = grad_out @ weights.down
            torch.ops.aten.threshold_backward.grad_input(
                grad_hidden, hidden, 0, grad_input=grad_hidden
            )
            sum_up.addmm_(normed.values.t(), grad_hidden)
            through = normalise_rows_backward(grad_hidden @ folded, normed)
            torch.add(grad_out, through, out=grad_z[rows])
        up = unfold_norm(sum_up.t(), weights.up, weights.norm, weights.norm_bias)
        sums = (up.norm_weight, up.norm_bias, up.weight, up.bias, sum_down, sum_bias)
        return grad_z.view(z.shape), None, *sums


def _padding(mask: Tensor) -> Tensor | None:
    """Which pairs are real, as a column; None where all are."""
    return None if bool(mask.all()) else mask.reshape(-1, 1)


def _forward(
    z: Tensor, mask: Tensor, weights: TransitionWeights, *, keep: bool
) -> tuple[Tensor, Tensor]:
    """The masked sum, and the hidden layer (empty unless it is to be kept)."""
    flat, real, folded = z.reshape(-1, z.shape[-1]), _padding(mask), weights.folded_up()
    updated, ones = torch.empty_like(flat), torch.ones_like(weights.norm)
    kept = z.new_empty(len(flat) if keep else 0, len(folded))
    for rows in chunk_pairs(len(flat), len(folded)):
        normed = normalise_rows(flat[rows], ones).values
        hidden = torch.mm(normed, folded.t(), out=kept[rows] if keep else None).relu_()
        out = torch.add(flat[rows], weights.down_bias, out=updated[rows])
        out.addmm_(hidden, weights.down.t())
        if real is not None:
            out *= real[rows]
    return updated.view(z.shape), kept
