"""Triangle multiplication added to a pair representation in place."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.functional import layer_norm

from foldwright.models.fold.network.workspace import Workspace, position_blocks
from foldwright.nn.triangle import TriangleDirection, TriangleMultiplication

CHANNELS_PER_GROUP = 64
"""Channels projected together; a constant for the same reason as the size of a block.

The product of a block of pairs with four matrices of so many rows is as fast as a wider one; half
as many cost a tenth more."""
_SHARE = 2
"""A pair has more numbers here than in attention, and blocks are so much shorter."""
_CONTRACTED_ELEMENTS = 2**17
"""Elements of a product that wait in the cache for the place of their factor."""


def triangle_without_bias(
    channels: int, hidden: int, direction: TriangleDirection
) -> TriangleMultiplication:
    """Build the shared block as published fold parameters have it: no linear map has a bias."""
    module = TriangleMultiplication(channels, hidden, direction=direction)
    for child in module.children():
        if isinstance(child, nn.Linear):
            child.register_parameter("bias", None)
    return module


def add_triangle_update(
    pair: Float[Tensor, "n n c"],
    mask: Bool[Tensor, "n n"],
    module: TriangleMultiplication,
    work: Workspace,
) -> None:
    """Add what `module` (without biases) computes to `pair`, in place.

    Equal to `module.reference` to rounding. Groups of channels are projected and contracted one
    after another; `work.factors_at_once` of them share one reading of the pairs. The product takes
    the place of the first factor. Bits do not depend on that number.
    """
    n, channels = len(pair), module.layer_norm_out.normalized_shape[0]
    groups = -(-channels // CHANNELS_PER_GROUP)
    held = min(groups, work.factors_at_once or groups)
    product = work.channels_first("product", (channels, n, n), pair)
    other = work.channels_first("factor", (min(held * CHANNELS_PER_GROUP, channels), n, n), pair)
    hidden = None if bool(mask.all()) else ~mask
    for first in range(0, groups, held):
        chosen = [
            slice(g * CHANNELS_PER_GROUP, min((g + 1) * CHANNELS_PER_GROUP, channels))
            for g in range(first, min(first + held, groups))
        ]
        base = first * CHANNELS_PER_GROUP
        _project(pair, hidden, module, chosen, (product, other), base, work)
        for group in chosen:
            _contract(product[group], other[group.start - base : group.stop - base], module, work)
    _add_output(pair, product, module, work)


def _project(
    pair: Tensor,
    hidden: Tensor | None,
    module: TriangleMultiplication,
    groups: list[slice],
    factors: tuple[Tensor, Tensor],
    base: int,
    work: Workspace,
) -> None:
    """Write both gated factors of some groups of channels, channels first."""
    flat = pair.view(-1, pair.shape[-1])
    linears = (module.linear_a_p, module.linear_b_p, module.linear_a_g, module.linear_b_g)
    weights = [torch.cat([linear.weight[group] for linear in linears]) for group in groups]
    left, right = (factor.flatten(1) for factor in factors)
    for block in position_blocks(flat, _SHARE):
        x = _normed(flat[block], module.layer_norm_in)
        for group, weight in zip(groups, weights, strict=True):
            size = group.stop - group.start
            projected = work.take("projected", (4 * size, len(x)), pair)
            torch.mm(weight, x.t(), out=projected)
            value, gate = projected[: 2 * size], projected[2 * size :].sigmoid_()
            if hidden is not None:
                value.masked_fill_(hidden.view(-1)[block], 0)
            place = slice(group.start - base, group.stop - base)
            torch.mul(value[:size], gate[:size], out=left[group, block])
            torch.mul(value[size:], gate[size:], out=right[place, block])


def _contract(left: Tensor, right: Tensor, module: TriangleMultiplication, work: Workspace) -> None:
    """Write the contraction over the third corner into the place of the left factor."""
    step = max(1, _CONTRACTED_ELEMENTS // left[0].numel())
    for start in range(0, len(left), step):
        one, two = (part[start : start + step] for part in (left, right))
        product = work.take("contracted", tuple(one.shape), left)
        if module.direction == "outgoing":
            torch.bmm(one, two.transpose(1, 2), out=product)
        else:
            torch.bmm(one.transpose(1, 2), two, out=product)
        one.copy_(product)


def _add_output(
    pair: Tensor, product: Tensor, module: TriangleMultiplication, work: Workspace
) -> None:
    """Add the normalised, projected and gated product."""
    flat, products = pair.view(-1, pair.shape[-1]), product.flatten(1)
    for block in position_blocks(flat, _SHARE):
        x = _normed(flat[block], module.layer_norm_in)
        gate = torch.mm(x, module.linear_g.weight.t(), out=work.take("gate", tuple(x.shape), pair))
        contracted = _normed_channels(products[:, block], module.layer_norm_out)
        value = work.take("value", tuple(x.shape), pair)
        torch.mm(contracted.t(), module.linear_z.weight.t(), out=value)
        flat[block].addcmul_(value, gate.sigmoid_())


def _normed(positions: Tensor, norm: nn.LayerNorm) -> Tensor:
    return layer_norm(positions, norm.normalized_shape, norm.weight, norm.bias, norm.eps)


def _normed_channels(columns: Tensor, norm: nn.LayerNorm) -> Tensor:
    """Layer norm over the first axis (c p): turning the product would cost more than all of it."""
    wide = columns.to(torch.promote_types(columns.dtype, torch.float32))
    centred = wide - wide.mean(0)
    centred *= centred.square().mean(0).add_(norm.eps).rsqrt_()
    return centred.mul_(norm.weight[:, None]).add_(norm.bias[:, None]).to(columns.dtype)
