"""Triangle multiplication with its residual in chunks of pairs, forward and backward, for the CPU.

It equals `z + keep * TriangleMultiplication(z)` to rounding; the tests compare them. Residual and
dropout are within, since each would read and write the whole pair tensor once more, both ways.
Projections are made with channels first, as the contraction wants them: the matrix product writes
that order at no cost, while copying it from channels last costs as much as the contraction.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from foldwright.nn.row_chunks import (
    add_linear_gradients,
    chunk_pairs,
    keeps_intermediates,
    normalise_channels,
    normalise_channels_backward,
    normalise_rows,
    normalise_rows_backward,
)

# Elements of one factor that are contracted at a time, so that they stay in the cache.
_ELEMENTS_PER_BLOCK = 2**18


class TriangleWeights(NamedTuple):
    """Parameters; `projections` are a, b, gate a and gate b in one matrix (4h c)."""

    projections: Tensor
    projections_bias: Tensor
    gate: Tensor
    gate_bias: Tensor
    out: Tensor
    out_bias: Tensor
    norm_in: Tensor
    norm_in_bias: Tensor
    norm_out: Tensor
    norm_out_bias: Tensor

    def folded_out(self) -> tuple[Tensor, Tensor]:
        """Output projection with the affine part of its layer norm inside."""
        return self.out * self.norm_out, torch.addmv(self.out_bias, self.out, self.norm_out_bias)


def chunked_triangle(
    z: Float[Tensor, "b n n c"],
    mask: Bool[Tensor, "b n n"],
    keep: Float[Tensor, "b #n #n c"] | None,
    weights: TriangleWeights,
    *,
    outgoing: bool,
) -> Float[Tensor, "b n n c"]:
    """Add the update to every pair; see `TriangleMultiplication.residual`."""
    if torch.is_grad_enabled():
        updated: Tensor = _ChunkedTriangle.apply(z, mask, keep, outgoing, *weights)
        return updated
    return _infer(z, mask, keep, weights, outgoing)


class _Item(NamedTuple):
    """One item of a batch: its n * n pairs as rows (p c), which are real, and what dropout keeps.

    `real` is None where all are; `keep` (n n c) is None without dropout.
    """

    n: int
    flat: Tensor
    real: Tensor | None
    keep: Tensor | None

    def dropped(self, update: Tensor, rows: slice) -> Tensor:
        """Apply the dropout to the update, or the gradient, of some whole rows of pairs."""
        if self.keep is None:
            return update
        keep = self.keep[rows.start // self.n : rows.stop // self.n]
        return (update.view(keep.shape) * keep).view(update.shape)


class _ChunkedTriangle(torch.autograd.Function):
    """Keeps the gated projections and the product; of smaller tensors both output factors too."""

    @staticmethod
    def forward(
        ctx: Any,
        z: Tensor,
        mask: Tensor,
        keep: Tensor | None,
        outgoing: bool,
        *parameters: Tensor,
    ) -> Tensor:
        weights = TriangleWeights(*parameters)
        b, n, _, c = z.shape
        hidden = weights.out.shape[1]
        projections = z.new_empty(b, 4 * hidden, n * n)
        product = z.new_empty(b, hidden, n * n)
        kept = z.new_empty(2, b, n * n if keeps_intermediates(z) else 0, c)
        updated = torch.empty_like(z, memory_format=torch.contiguous_format)
        for index, item in enumerate(_items(z, mask, keep)):
            for rows in chunk_pairs(n * n):
                _project(item.flat[rows], weights, projections[index, :, rows])
            for channels in _channel_blocks(hidden, n):
                left, right = _gated(projections[index], item.real, channels, n)
                _contract(left, right, product[index, channels].view(-1, n, n), outgoing)
            _write_sum(item, product[index], weights, updated[index], kept[:, index])
        ctx.save_for_backward(z, mask, keep, projections, product, kept, *parameters)
        ctx.outgoing = outgoing
        return updated

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        z, mask, keep, projections, product, kept, *parameters = ctx.saved_tensors
        weights = TriangleWeights(*parameters)
        sums = [torch.zeros_like(weight) for weight in weights]
        grad_z = torch.empty_like(z, memory_format=torch.contiguous_format)
        n, c = z.shape[2:]
        for index, item in enumerate(_items(z, mask, keep)):
            flat_grad, flat_grad_z = grad[index].reshape(-1, c), grad_z[index].view(-1, c)
            grad_product = _output_backward(
                flat_grad, item, product[index], kept[:, index], weights, sums, flat_grad_z
            )
            grad_factors = _contract_backward(
                projections[index], item.real, grad_product, n, ctx.outgoing
            )
            del grad_product
            _input_backward(
                flat_grad, item, projections[index], grad_factors, weights, sums, flat_grad_z
            )
        return grad_z, None, None, None, *_unfolded(weights, sums)


def _infer(
    z: Tensor, mask: Tensor, keep: Tensor | None, weights: TriangleWeights, outgoing: bool
) -> Tensor:
    """The sum with nothing kept: only the factors of one item exist at a time."""
    n, c = z.shape[2:]
    hidden = weights.out.shape[1]
    factors, product = z.new_empty(2 * hidden, n * n), z.new_empty(hidden, n * n)
    updated = torch.empty_like(z, memory_format=torch.contiguous_format)
    nothing = z.new_empty(2, 0, c)
    for index, item in enumerate(_items(z, mask, keep)):
        for rows in chunk_pairs(n * n):
            part = _project(item.flat[rows], weights, None)
            torch.mul(part[: 2 * hidden], part[2 * hidden :], out=factors[:, rows])
        if item.real is not None:
            factors *= item.real
        left, right = factors.view(2, hidden, n, n)
        _contract(left, right, product.view(hidden, n, n), outgoing)
        _write_sum(item, product, weights, updated[index], nothing)
    return updated


def _items(z: Tensor, mask: Tensor, keep: Tensor | None) -> Iterator[_Item]:
    for index, (pairs, real) in enumerate(zip(z, mask, strict=True)):
        every = bool(real.all())
        yield _Item(
            len(pairs),
            pairs.reshape(-1, z.shape[-1]),
            None if every else real.reshape(-1).to(z.dtype),
            None if keep is None else keep[index].expand(pairs.shape),
        )


def _channel_blocks(hidden: int, n: int) -> Iterator[slice]:
    step = max(1, _ELEMENTS_PER_BLOCK // (n * n))
    for start in range(0, hidden, step):
        yield slice(start, min(start + step, hidden))


def _project(rows: Tensor, weights: TriangleWeights, out: Tensor | None) -> Tensor:
    """Projections (4h p) of some pairs, the second half through the sigmoid."""
    normed = normalise_rows(rows, weights.norm_in, weights.norm_in_bias)[0]
    part: Tensor = torch.mm(weights.projections, normed.t(), out=out)
    part += weights.projections_bias[:, None]
    part[part.shape[0] // 2 :].sigmoid_()
    return part


def _gated(
    projections: Tensor, real: Tensor | None, channels: slice, n: int
) -> tuple[Tensor, Tensor]:
    """Both factors (k n n) of some channels, zero on padding."""
    values_a, values_b, gates_a, gates_b = projections.view(4, -1, n * n)
    left = values_a[channels] * gates_a[channels]
    right = values_b[channels] * gates_b[channels]
    if real is not None:
        left, right = left.mul_(real), right.mul_(real)
    return left.view(-1, n, n), right.view(-1, n, n)


def _contract(left: Tensor, right: Tensor, out: Tensor, outgoing: bool) -> None:
    if outgoing:
        torch.bmm(left, right.transpose(1, 2), out=out)
    else:
        torch.bmm(left.transpose(1, 2), right, out=out)


def _write_sum(
    item: _Item, product: Tensor, weights: TriangleWeights, updated: Tensor, kept: Tensor
) -> None:
    """Norm, projection and gate of the output, and the residual.

    Gate and value go to `kept` if it has room.
    """
    w_out, b_out = weights.folded_out()
    flat = item.flat
    out = updated.view(flat.shape)
    for rows in chunk_pairs(len(flat), item.n):
        normed = normalise_rows(flat[rows], weights.norm_in, weights.norm_in_bias)[0]
        contracted = normalise_channels(product[:, rows])[0]
        place = kept[:, rows] if kept.numel() else (None, None)
        gate = torch.addmm(weights.gate_bias, normed, weights.gate.t(), out=place[0]).sigmoid_()
        value = torch.addmm(b_out, contracted.t(), w_out.t(), out=place[1])
        torch.add(flat[rows], item.dropped(value * gate, rows), out=out[rows])


def _output_backward(
    grad: Tensor,
    item: _Item,
    product: Tensor,
    kept: Tensor,
    weights: TriangleWeights,
    sums: list[Tensor],
    grad_normed: Tensor,
) -> Tensor:
    """Back through dropout, gate, projection and norm of the output, to the product (h p).

    What reaches the normed input is written to `grad_normed`. `sums` of the output projection hold
    the folded form until `_unfolded`.
    """
    w_out, b_out = weights.folded_out()
    grad_product = torch.empty_like(product)
    flat = item.flat
    for rows in chunk_pairs(len(flat), item.n):
        normed = normalise_rows(flat[rows], weights.norm_in, weights.norm_in_bias)[0]
        contracted, reciprocal = normalise_channels(product[:, rows])
        if kept.numel():
            gate, value = kept[:, rows]
        else:
            gate = torch.addmm(weights.gate_bias, normed, weights.gate.t()).sigmoid_()
            value = torch.addmm(b_out, contracted.t(), w_out.t())
        grad_update = item.dropped(grad[rows], rows)
        grad_value = grad_update * gate
        grad_gate = torch.ops.aten.sigmoid_backward(grad_update * value, gate)
        add_linear_gradients(sums[2:4], grad_gate, normed)
        add_linear_gradients(sums[4:6], grad_value, contracted.t())
        torch.mm(grad_gate, weights.gate, out=grad_normed[rows])
        grad_contracted = w_out.t() @ grad_value.t()
        grad_product[:, rows] = normalise_channels_backward(grad_contracted, contracted, reciprocal)
    return grad_product


def _contract_backward(
    projections: Tensor, real: Tensor | None, grad: Tensor, n: int, outgoing: bool
) -> Tensor:
    """Gradients of both gated factors (2h p)."""
    hidden = grad.shape[0]
    grad_factors = grad.new_empty(2, hidden, n, n)
    for channels in _channel_blocks(hidden, n):
        left, right = _gated(projections, real, channels, n)
        part = grad[channels].view(-1, n, n)
        grad_left, grad_right = grad_factors[:, channels]
        if outgoing:
            torch.bmm(part, right, out=grad_left)
            torch.bmm(part.transpose(1, 2), left, out=grad_right)
        else:
            torch.bmm(right, part.transpose(1, 2), out=grad_left)
            torch.bmm(left, part, out=grad_right)
    flat = grad_factors.view(2 * hidden, n * n)
    return flat if real is None else flat.mul_(real)


def _input_backward(
    grad: Tensor,
    item: _Item,
    projections: Tensor,
    grad_factors: Tensor,
    weights: TriangleWeights,
    sums: list[Tensor],
    grad_z: Tensor,
) -> None:
    """Back through the gated projections and the norm, and the residual.

    `grad_z` comes in as what reached the normed input from the output.
    """
    half = grad_factors.shape[0]
    for rows in chunk_pairs(item.flat.shape[0]):
        part = item.flat[rows]
        normed, *moments = normalise_rows(part, weights.norm_in, weights.norm_in_bias)
        values, gates = projections[:half, rows], projections[half:, rows]
        grad_gated = grad_factors[:, rows]
        grad_gates = torch.ops.aten.sigmoid_backward(grad_gated * values, gates)
        grad_part = torch.cat([grad_gated * gates, grad_gates])
        add_linear_gradients(sums[0:2], grad_part.t(), normed)
        grad_normed = grad_z[rows].addmm_(grad_part.t(), weights.projections)
        through = normalise_rows_backward(
            grad_normed, part, moments, weights.norm_in, weights.norm_in_bias, sums[6:8]
        )
        torch.add(grad[rows], through, out=grad_z[rows])


def _unfolded(weights: TriangleWeights, sums: list[Tensor]) -> list[Tensor]:
    """Gradients of all weights, those of the output projection and its norm taken apart."""
    folded, bias = sums[4], sums[5]
    out = folded * weights.norm_out + torch.outer(bias, weights.norm_out_bias)
    return [
        *sums[:4],
        out,
        bias,
        *sums[6:8],
        (folded * weights.out).sum(0),
        bias @ weights.out,
    ]
