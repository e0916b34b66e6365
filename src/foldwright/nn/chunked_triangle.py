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
    chunk_pairs,
    fold_norm,
    keeps_intermediates,
    normalise_columns,
    normalise_columns_backward,
    normalise_rows,
    normalise_rows_backward,
    unfold_norm,
)

# Elements of one factor that are contracted at a time, so that they stay in the cache.
_ELEMENTS_PER_BLOCK = 2**17


class TriangleWeights(NamedTuple):
    """Parameters; `inputs` are a, b, their gates and the update's gate in one matrix (4h+c c)."""

    inputs: Tensor
    inputs_bias: Tensor
    out: Tensor
    out_bias: Tensor
    norm_in: Tensor
    norm_in_bias: Tensor
    norm_out: Tensor
    norm_out_bias: Tensor

    def folded(self) -> "_Folded":
        """Matrices with the norms before them and their biases inside."""
        inputs = fold_norm(self.inputs, self.inputs_bias, self.norm_in, self.norm_in_bias)
        out = fold_norm(self.out, self.out_bias, self.norm_out, self.norm_out_bias)
        return _Folded.of(inputs, out)

    def unfolded(self, sums: "_Folded") -> tuple[Tensor, ...]:
        """Gradients of all parameters from those of the matrices."""
        inputs = unfold_norm(sums.inputs, self.inputs, self.norm_in, self.norm_in_bias)
        out = unfold_norm(sums.out, self.out, self.norm_out, self.norm_out_bias)
        return (*inputs[:2], *out[:2], *inputs[2:], *out[2:])


class _Folded(NamedTuple):
    """The matrices that work on normalised values, or sums of their gradients.

    `projections` and `gate` are the rows of `inputs` that the pairs meet one after the other.
    """

    inputs: Tensor
    projections: Tensor
    gate: Tensor
    out: Tensor
    ones: Tensor

    @classmethod
    def of(cls, inputs: Tensor, out: Tensor) -> "_Folded":
        projections, gate = inputs.split([4 * out.shape[1], len(out)])
        return cls(inputs, projections, gate, out, inputs.new_ones(inputs.shape[1]))

    @property
    def hidden(self) -> int:
        return self.out.shape[1]


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
    return _infer(z, mask, keep, weights.folded(), outgoing)


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
    """Keeps projections and product; of smaller tensors gate and value of the output too."""

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
        folded = weights.folded()
        b, n, _, c = z.shape
        projections = z.new_empty(b, 4 * folded.hidden, n * n)
        product = z.new_empty(b, folded.hidden, n * n)
        kept = z.new_empty(2, b, n * n if keeps_intermediates(z) else 0, c)
        updated = torch.empty_like(z, memory_format=torch.contiguous_format)
        for index, item in enumerate(_items(z, mask, keep)):
            out = updated[index].view(-1, c)
            gate = kept[0, index] if kept.numel() else out
            for rows in chunk_pairs(n * n, len(folded.projections)):
                _project(item.flat[rows], folded, projections[index, :, rows], gate[rows])
            for channels, left, right in _gated_blocks(projections[index], item.real, n):
                _contract(left, right, product[index, channels].view(-1, n, n), outgoing)
            _write_sum(item, product[index], folded, gate, out, kept[1, index])
        ctx.save_for_backward(z, mask, keep, projections, product, kept, *parameters)
        ctx.outgoing = outgoing
        return updated

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        z, mask, keep, projections, product, kept, *parameters = ctx.saved_tensors
        weights = TriangleWeights(*parameters)
        folded = weights.folded()
        sums = _Folded.of(torch.zeros_like(folded.inputs), torch.zeros_like(folded.out))
        grad_z = torch.empty_like(z, memory_format=torch.contiguous_format)
        n, c = z.shape[2:]
        for index, item in enumerate(_items(z, mask, keep)):
            flat_grad, flat_grad_z = grad[index].reshape(-1, c), grad_z[index].view(-1, c)
            grad_product = _output_backward(
                flat_grad, item, product[index], kept[:, index], folded, sums, flat_grad_z
            )
            grad_factors = _contract_backward(
                projections[index], item.real, grad_product, n, ctx.outgoing
            )
            del grad_product
            _input_backward(
                flat_grad, item, projections[index], grad_factors, folded, sums, flat_grad_z
            )
        return grad_z, None, None, None, *weights.unfolded(sums)


def _infer(z: Tensor, mask: Tensor, keep: Tensor | None, folded: _Folded, outgoing: bool) -> Tensor:
    """The sum with nothing kept: only the factors of one item exist at a time."""
    n, c = z.shape[2:]
    hidden = folded.hidden
    factors, product = z.new_empty(2 * hidden, n * n), z.new_empty(hidden, n * n)
    updated = torch.empty_like(z, memory_format=torch.contiguous_format)
    for index, item in enumerate(_items(z, mask, keep)):
        out = updated[index].view(-1, c)
        for rows in chunk_pairs(n * n, 4 * hidden):
            part = _project(item.flat[rows], folded, None, out[rows])
            torch.mul(part[: 2 * hidden], part[2 * hidden :], out=factors[:, rows])
        if item.real is not None:
            factors *= item.real
        left, right = factors.view(2, hidden, n, n)
        _contract(left, right, product.view(hidden, n, n), outgoing)
        _write_sum(item, product, folded, out, out, z.new_empty(0, c))
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


def _project(rows: Tensor, folded: _Folded, out: Tensor | None, gate: Tensor) -> Tensor:
    """Projections (4h p) of some pairs, the second half through the sigmoid, and the gate (p c)."""
    normed = normalise_rows(rows, folded.ones).values
    part: Tensor = torch.mm(folded.projections, normed.t(), out=out)
    part[part.shape[0] // 2 :].sigmoid_()
    torch.mm(normed, folded.gate.t(), out=gate).sigmoid_()
    return part


def _gated_blocks(
    projections: Tensor, real: Tensor | None, n: int
) -> Iterator[tuple[slice, Tensor, Tensor]]:
    """Both factors (k n n), zero on padding, of a few channels at a time, valid until the next."""
    values, gates = projections.view(2, 2, -1, n * n)
    hidden = values.shape[1]
    step = max(1, _ELEMENTS_PER_BLOCK // (n * n))
    buffer = projections.new_empty(2 * step * n * n)
    for start in range(0, hidden, step):
        channels = slice(start, min(start + step, hidden))
        count = channels.stop - start
        gated = buffer[: 2 * count * n * n].view(2, count, n * n)
        torch.mul(values[:, channels], gates[:, channels], out=gated)
        if real is not None:
            gated *= real
        left, right = gated.view(2, count, n, n)
        yield channels, left, right


def _contract(left: Tensor, right: Tensor, out: Tensor, outgoing: bool) -> None:
    if outgoing:
        torch.bmm(left, right.transpose(1, 2), out=out)
    else:
        torch.bmm(left.transpose(1, 2), right, out=out)


def _write_sum(
    item: _Item, product: Tensor, folded: _Folded, gate: Tensor, out: Tensor, kept_value: Tensor
) -> None:
    """Norm and projection of the output, times the gate, and the residual.

    `out` may be where the gate is. The value goes to `kept_value` if that has room.
    """
    for rows in chunk_pairs(len(item.flat), folded.hidden, item.n):
        contracted = normalise_columns(product[:, rows]).values
        place = kept_value[rows] if len(kept_value) else None
        value = torch.mm(contracted.t(), folded.out.t(), out=place)
        torch.addcmul(item.flat[rows], item.dropped(value, rows), gate[rows], out=out[rows])


def _output_backward(
    grad: Tensor,
    item: _Item,
    product: Tensor,
    kept: Tensor,
    folded: _Folded,
    sums: _Folded,
    grad_gate: Tensor,
) -> Tensor:
    """Back through dropout, gate, projection and norm of the output, to the product (h p).

    What reaches the gate before its sigmoid is written to `grad_gate`.
    """
    grad_product = torch.empty_like(product)
    sum_out = torch.zeros_like(folded.out.t())  # the faster one of two ways to write the product
    for rows in chunk_pairs(len(item.flat), folded.hidden, item.n):
        contracted = normalise_columns(product[:, rows])
        if kept.numel():
            gate, value = kept[:, rows]
        else:
            normed = normalise_rows(item.flat[rows], folded.ones).values
            gate = (normed @ folded.gate.t()).sigmoid_()
            value = contracted.values.t() @ folded.out.t()
        grad_update = item.dropped(grad[rows], rows)
        grad_value = grad_update * gate
        through = torch.mul(grad_update, value, out=grad_gate[rows])
        torch.ops.aten.sigmoid_backward.grad_input(through, gate, grad_input=through)
        sum_out.addmm_(contracted.values, grad_value)
        grad_contracted = folded.out.t() @ grad_value.t()
        grad_product[:, rows] = normalise_columns_backward(grad_contracted, contracted)
    sums.out.add_(sum_out.t())
    return grad_product


def _contract_backward(
    projections: Tensor, real: Tensor | None, grad: Tensor, n: int, outgoing: bool
) -> Tensor:
    """Gradients of both gated factors (2h p)."""
    hidden = grad.shape[0]
    grad_factors = grad.new_empty(2, hidden, n, n)
    for channels, left, right in _gated_blocks(projections, real, n):
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
    folded: _Folded,
    sums: _Folded,
    grad_z: Tensor,
) -> None:
    """Back through the gated projections and the norm, and the residual.

    `grad_z` comes in as what reached the gate of the output.
    """
    half = grad_factors.shape[0]
    for rows in chunk_pairs(len(item.flat), 2 * half):
        normed = normalise_rows(item.flat[rows], folded.ones)
        values, gates = projections[:, rows].split(half)
        grad_gated, grad_gate = grad_factors[:, rows], grad_z[rows]
        grad_part = torch.empty_like(projections[:, rows], memory_format=torch.contiguous_format)
        grad_values, grad_gates = grad_part.split(half)
        torch.mul(grad_gated, gates, out=grad_values)
        torch.mul(grad_gated, values, out=grad_gates)
        torch.ops.aten.sigmoid_backward.grad_input(grad_gates, gates, grad_input=grad_gates)
        sums.projections.addmm_(grad_part, normed.values)
        sums.gate.addmm_(grad_gate.t(), normed.values)
        grad_normed = (grad_part.t() @ folded.projections).addmm_(grad_gate, folded.gate)
        through = normalise_rows_backward(grad_normed, normed)
        torch.add(grad[rows], through, out=grad_gate)
