"""Pair operations in row chunks, forward and backward, for the CPU.

On a CPU the large temporaries of the pair tensor cost more than its arithmetic: the operating
system maps and zeroes each of them anew. These functions work on chunks of rows that stay in the
cache, keep few tensors for the backward pass and recompute the rest chunk by chunk. They equal the
plain expressions in `nn.triangle` and `nn.transition` to rounding; the tests compare them.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable

_PAIRS_PER_CHUNK = 2048
_EPS = 1e-5
# Measured on two EPYC cores: below the first size plain operations are as fast; up to the second
# one the backward pass gets more intermediates instead of recomputing them.
_CHUNKED_FROM_BYTES = 4 * 2**20
_KEEP_UP_TO_BYTES = 16 * 2**20


class _Context(FunctionCtx):
    """What these functions keep between the passes."""

    outgoing: bool
    saved_tensors: tuple[Tensor, ...]


def chunks_help(z: Tensor) -> bool:
    """Whether the chunked functions are the better choice for this tensor."""
    large = z.numel() * z.element_size() >= _CHUNKED_FROM_BYTES
    return large and z.device.type == "cpu" and not torch.is_autocast_enabled("cpu")


def _keeps(z: Tensor) -> bool:
    return z.numel() * z.element_size() <= _KEEP_UP_TO_BYTES


class ChunkedTriangle(torch.autograd.Function):
    """Triangle multiplication; see `TriangleMultiplication` for what it computes.

    Between the passes it keeps the four gated projections and the contracted product; of smaller
    tensors the two factors of the output too.
    """

    @staticmethod
    def forward(ctx: Any, z: Tensor, mask: Tensor, outgoing: bool, *weights: Tensor) -> Tensor:
        """Compute the update (b n n c).

        `weights` are the stacked projections a, b, gate a, gate b and their biases; the output
        gate; the output projection; and both layer norms, each as weight and bias.
        """
        w_ab, b_ab, w_gate, b_gate, w_out, b_out, norm_in, shift_in, norm_out, shift_out = weights
        b, n, _, c = z.shape
        projections = z.new_empty(b * n * n, w_ab.shape[0])
        flat, real = z.reshape(-1, c), mask.reshape(-1, 1)
        for rows in _chunks(flat):
            normed = _normalise(flat[rows], norm_in, shift_in)[0]
            part = torch.addmm(b_ab, normed, w_ab.t(), out=projections[rows])
            part[:, part.shape[1] // 2 :].sigmoid_()
        left, right = _gated_factors(projections, real, b, n)
        product = _contract(left, right, outgoing)
        del left, right
        update = torch.empty_like(flat)
        kept = z.new_empty(2, flat.shape[0] if _keeps(z) else 0, c)
        for item, row, rows in _row_chunks(b, n):
            normed = _normalise(flat[rows], norm_in, shift_in)[0]
            contracted = _normalise(_last(product[item, :, row]), norm_out, shift_out)[0]
            place = kept[:, rows] if kept.numel() else (None, None)
            gate = torch.addmm(b_gate, normed, w_gate.t(), out=place[0]).sigmoid_()
            value = torch.addmm(b_out, contracted, w_out.t(), out=place[1])
            torch.mul(value, gate, out=update[rows])
        ctx.save_for_backward(z, mask, projections, product, kept, *weights)
        ctx.outgoing = outgoing
        return update.view(z.shape)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of z and of all weights."""
        z, mask, projections, product, kept, *weights = ctx.saved_tensors
        b, n, _, c = z.shape
        flat, real = z.reshape(-1, c), mask.reshape(-1, 1)
        sums = [torch.zeros_like(weight) for weight in weights]
        grad_product, grad_normed = _output_backward(
            grad.reshape(-1, c), flat, product, kept, weights, sums
        )
        left, right = _gated_factors(projections, real, b, n)
        grad_left, grad_right = _contract_backward(left, right, grad_product, ctx.outgoing)
        del left, right, grad_product
        grad_z = grad_normed
        w_ab, norm_in, shift_in = weights[0], weights[6], weights[7]
        half = w_ab.shape[0] // 2
        for item, row, rows in _row_chunks(b, n):
            normed, *moments = _normalise(flat[rows], norm_in, shift_in)
            grad_factor = torch.cat(
                [_last(grad_left[item, :, row]), _last(grad_right[item, :, row])], dim=1
            ).mul_(real[rows])
            value, gate = projections[rows, :half], projections[rows, half:]
            grad_gate = (1 - gate).mul_(gate).mul_(value).mul_(grad_factor)
            grad_part = torch.cat([grad_factor.mul_(gate), grad_gate], dim=1)
            _add_linear(sums, 0, grad_part, normed)
            grad_normed[rows].addmm_(grad_part, w_ab)
            grad_z[rows] = _normalise_backward(
                grad_normed[rows], flat[rows], moments, norm_in, shift_in, sums, 6
            )
        return grad_z.view(z.shape), None, None, *sums


class ChunkedTransition(torch.autograd.Function):
    """Layer norm, expansion, ReLU, contraction, mask; of large tensors keeps only the input."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, mask: Tensor, *weights: Tensor) -> Tensor:
        """Compute the masked update; `weights`: norm, expansion, contraction, each with bias."""
        norm, shift, w_up, b_up, w_down, b_down = weights
        flat, real = z.reshape(-1, z.shape[-1]), mask.reshape(-1, 1)
        update = torch.empty_like(flat)
        kept = z.new_empty(flat.shape[0] if _keeps(z) else 0, w_up.shape[0])
        for rows in _chunks(flat):
            normed = _normalise(flat[rows], norm, shift)[0]
            hidden = torch.addmm(b_up, normed, w_up.t(), out=kept[rows] if len(kept) else None)
            torch.addmm(b_down, hidden.relu_(), w_down.t(), out=update[rows]).mul_(real[rows])
        ctx.save_for_backward(z, mask, kept, *weights)
        return update.view(z.shape)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of z and of all weights."""
        z, mask, kept, *weights = ctx.saved_tensors
        norm, shift, w_up, b_up, w_down, _ = weights
        flat, real = z.reshape(-1, z.shape[-1]), mask.reshape(-1, 1)
        flat_grad = grad.reshape(flat.shape)
        sums = [torch.zeros_like(weight) for weight in weights]
        grad_z = torch.empty_like(flat)
        for rows in _chunks(flat):
            normed, *moments = _normalise(flat[rows], norm, shift)
            hidden = kept[rows] if len(kept) else torch.addmm(b_up, normed, w_up.t()).relu_()
            grad_out = flat_grad[rows] * real[rows]
            _add_linear(sums, 4, grad_out, hidden)
            grad_hidden = (grad_out @ w_down).mul_(hidden > 0)
            _add_linear(sums, 2, grad_hidden, normed)
            grad_z[rows] = _normalise_backward(
                grad_hidden @ w_up, flat[rows], moments, norm, shift, sums, 0
            )
        return grad_z.view(z.shape), None, *sums


def _output_backward(
    grad: Tensor,
    flat: Tensor,
    product: Tensor,
    kept: Tensor,
    weights: list[Tensor],
    sums: list[Tensor],
) -> tuple[Tensor, Tensor]:
    """Back through gate, projection and norm of the output: to the product and the normed input."""
    _, _, w_gate, b_gate, w_out, b_out, norm_in, shift_in, norm_out, shift_out = weights
    b, _, n, _ = product.shape
    grad_product, grad_normed = torch.empty_like(product), torch.empty_like(flat)
    for item, row, rows in _row_chunks(b, n):
        normed = _normalise(flat[rows], norm_in, shift_in)[0]
        raw = _last(product[item, :, row])
        contracted, *moments = _normalise(raw, norm_out, shift_out)
        if kept.numel():
            gate, value = kept[:, rows]
        else:
            gate = torch.addmm(b_gate, normed, w_gate.t()).sigmoid_()
            value = torch.addmm(b_out, contracted, w_out.t())
        grad_value = grad[rows] * gate
        grad_gate = (1 - gate).mul_(value).mul_(grad_value)
        _add_linear(sums, 2, grad_gate, normed)
        _add_linear(sums, 4, grad_value, contracted)
        torch.mm(grad_gate, w_gate, out=grad_normed[rows])
        grad_raw = _normalise_backward(
            grad_value @ w_out, raw, moments, norm_out, shift_out, sums, 8
        )
        grad_product[item, :, row] = grad_raw.view(-1, n, raw.shape[1]).permute(2, 0, 1)
    return grad_product, grad_normed


def _gated_factors(projections: Tensor, real: Tensor, b: int, n: int) -> tuple[Tensor, Tensor]:
    """Both factors of the contraction, channels first (b h n n), zero on padding."""
    half = projections.shape[1] // 2
    factors = projections.new_empty(2, b, half // 2, n, n)
    for item, row, rows in _row_chunks(b, n):
        part = projections[rows]
        gated = (part[:, :half] * part[:, half:]).mul_(real[rows])
        channels_first = gated.view(-1, n, 2, half // 2).permute(2, 3, 0, 1)
        factors[:, item, :, row] = channels_first
    return factors[0], factors[1]


def _contract(left: Tensor, right: Tensor, outgoing: bool) -> Tensor:
    return left @ right.transpose(-1, -2) if outgoing else left.transpose(-1, -2) @ right


def _contract_backward(
    left: Tensor, right: Tensor, grad: Tensor, outgoing: bool
) -> tuple[Tensor, Tensor]:
    if outgoing:
        return grad @ right, grad.transpose(-1, -2) @ left
    return right @ grad.transpose(-1, -2), left @ grad


def _last(part: Tensor) -> Tensor:
    """Rows of one item, channels first (h k n), as a matrix with channels last (k*n h)."""
    return part.permute(1, 2, 0).reshape(-1, part.shape[0])


def _normalise(rows: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Layer norm, with the mean and the reciprocal deviation that its backward pass needs."""
    out: tuple[Tensor, Tensor, Tensor] = torch.native_layer_norm(
        rows, weight.shape, weight, bias, _EPS
    )
    return out


def _normalise_backward(
    grad: Tensor,
    rows: Tensor,
    moments: list[Tensor],
    weight: Tensor,
    bias: Tensor,
    sums: list[Tensor],
    place: int,
) -> Tensor:
    """Gradient of the layer norm's input; those of weight and bias are added to `sums[place:]`."""
    grad_rows, grad_weight, grad_bias = torch.ops.aten.native_layer_norm_backward(
        grad, rows, weight.shape, *moments, weight, bias, [True, True, True]
    )
    sums[place] += grad_weight
    sums[place + 1] += grad_bias
    out: Tensor = grad_rows
    return out


def _add_linear(sums: list[Tensor], place: int, grad: Tensor, rows: Tensor) -> None:
    """Add the gradients of a linear map's weight and bias."""
    sums[place].addmm_(grad.t(), rows)
    sums[place + 1] += grad.sum(0)


def _chunks(flat: Tensor) -> Iterator[slice]:
    for start in range(0, flat.shape[0], _PAIRS_PER_CHUNK):
        yield slice(start, min(start + _PAIRS_PER_CHUNK, flat.shape[0]))


def _row_chunks(b: int, n: int) -> Iterator[tuple[int, slice, slice]]:
    """Batch item, its rows, and the same as a range of flattened pairs."""
    step = max(1, _PAIRS_PER_CHUNK // n)
    for item in range(b):
        for start in range(0, n, step):
            stop = min(start + step, n)
            first = item * n
            yield item, slice(start, stop), slice((first + start) * n, (first + stop) * n)
