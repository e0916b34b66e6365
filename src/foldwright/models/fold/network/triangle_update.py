"""Triangle multiplication added to a pair representation in place."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.functional import layer_norm

from foldwright.models.fold.network.workspace import Workspace, row_blocks
from foldwright.nn.triangle import TriangleDirection, TriangleMultiplication

CHANNELS_PER_GROUP = 32
"""Channels contracted together; a constant for the same reason as the size of a block."""
_CONTRACTED_AT_ONCE = 8


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
    n, _, c = pair.shape
    linears = (module.linear_a_p, module.linear_b_p, module.linear_a_g, module.linear_b_g)
    weights = [torch.cat([linear.weight[group] for linear in linears]) for group in groups]
    norm = module.layer_norm_in
    for rows in row_blocks(pair):
        x = layer_norm(pair[rows], (c,), norm.weight, norm.bias, norm.eps).view(-1, c)
        for group, weight in zip(groups, weights, strict=True):
            size = group.stop - group.start
            projected = work.take("projected", (4 * size, len(x)), pair)
            torch.mm(weight, x.t(), out=projected)
            value, gate = projected[: 2 * size], projected[2 * size :].sigmoid_()
            value.mul_(gate)
            if hidden is not None:
                value.masked_fill_(hidden[rows].reshape(-1), 0)
            left, right = value.view(2, size, -1, n)
            factors[0][group, rows] = left
            factors[1][group.start - base : group.stop - base, rows] = right


def _contract(left: Tensor, right: Tensor, module: TriangleMultiplication, work: Workspace) -> None:
    """Write the contraction over the third corner into the place of the left factor."""
    for start in range(0, len(left), _CONTRACTED_AT_ONCE):
        one, two = (part[start : start + _CONTRACTED_AT_ONCE] for part in (left, right))
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
    n, _, c = pair.shape
    channels = len(product)
    norm, norm_out = module.layer_norm_in, module.layer_norm_out
    for rows in row_blocks(pair):
        block = pair[rows].view(-1, c)
        x = layer_norm(block, (c,), norm.weight, norm.bias, norm.eps)
        gate = torch.mm(x, module.linear_g.weight.t(), out=work.take("gate", (len(x), c), pair))
        turned = work.take("turned", (len(x), channels), pair)
        turned.view(-1, n, channels).copy_(product[:, rows].permute(1, 2, 0))
        x = layer_norm(turned, (channels,), norm_out.weight, norm_out.bias, norm_out.eps)
        value = work.take("value", (len(x), c), pair)
        torch.mm(x, module.linear_z.weight.t(), out=value)
        block.add_(value.mul_(gate.sigmoid_()))
