"""Products over ranks, channel by channel, of factors (b m r c) and small matrices (b r s c).

Both are einsums, but as matrix products they are one tiny product for every channel or residue,
which on a CPU costs more than the arithmetic. Each is the derivative of the other.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

# Up to this rank sums of broadcast products are faster than one matrix product for every channel:
# at rank 2 ten times, at 16 by half.
_ELEMENTWISE_RANK = 16


def apply_ranks(
    factors: Float[Tensor, "b m r c"], matrix: Float[Tensor, "#b r s #c"]
) -> Float[Tensor, "b m s c"]:
    """Sum over r of factors_imrc matrix_irsc; the matrix may be one for all items or channels."""
    out: Tensor = _ApplyRanks.apply(factors, matrix)
    return out


def contract_residues(
    one: Float[Tensor, "b m r c"], two: Float[Tensor, "b m s c"]
) -> Float[Tensor, "b r s c"]:
    """Sum over residues of one_imrc two_imsc."""
    out: Tensor = _ContractResidues.apply(one, two)
    return out


class _ApplyRanks(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, factors: Tensor, matrix: Tensor) -> Tensor:
        ctx.save_for_backward(factors, matrix)
        return _apply(factors, matrix)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
        factors, matrix = ctx.saved_tensors
        grad_matrix = _contract(factors, grad).sum_to_size(matrix.shape)
        return _apply(grad, matrix.transpose(1, 2)), grad_matrix


class _ContractResidues(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, one: Tensor, two: Tensor) -> Tensor:
        ctx.save_for_backward(one, two)
        return _contract(one, two)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
        one, two = ctx.saved_tensors
        return _apply(two, grad.transpose(1, 2)), _apply(one, grad)


def _apply(factors: Tensor, matrix: Tensor) -> Tensor:
    rank = factors.shape[2]
    if rank > _ELEMENTWISE_RANK:
        matrix = matrix.expand(len(factors), -1, -1, factors.shape[3])
        return torch.einsum("bmrc,brsc->bmsc", factors, matrix)
    # one rank after the other: (b m 1 c) times (b 1 s c)
    out = factors[:, :, 0, None] * matrix[:, None, 0]
    for r in range(1, rank):
        out.addcmul_(factors[:, :, r, None], matrix[:, None, r])
    return out


def _contract(one: Tensor, two: Tensor) -> Tensor:
    rank = one.shape[2]
    if rank > _ELEMENTWISE_RANK:
        return torch.einsum("bmrc,bmsc->brsc", one, two)
    # into the same memory: fresh pages would take ten times as long as the products
    room = torch.empty_like(two, dtype=torch.promote_types(one.dtype, two.dtype))
    sums = [torch.mul(one[:, :, r, None], two, out=room).sum(1) for r in range(rank)]
    return torch.stack(sums, dim=1)
