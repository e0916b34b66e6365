"""Point attention in tiles of rows and keys, forward and backward, for the CPU.

Only the row statistics are kept for the backward pass, which recomputes each tile. Memory beyond
inputs and outputs does not grow with the length. Sums run in one order, so results repeat exactly.

Weights are powers of two. Where distances in Å are squared most logits are far below the highest
one, and exponentials that underflow cost fifteen times as much in PyTorch's `exp` on a CPU; powers
of two, bounded from below, cost the same everywhere, and half of an ordinary exponential.
"""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from foldwright.nn.point_attention.lifted import (
    contract_ranks,
    lifted_keys,
    lifted_queries,
    lifted_values,
    split_values,
)
from foldwright.nn.point_attention.terms import Attended, FactorTerms, PointAttentionTerms
from foldwright.nn.point_attention.tile_pairs import SharedFactors, TilePairs, TileRoom, TileVectors

# Measured on two EPYC cores with 12 heads: smaller tiles pay per call, larger ones leave the cache.
_ROWS = 128
_KEYS = 256
# Up to this rank one large product with all right factors is faster than many small ones: at rank 4
# by 15 %, at rank 6 they are equal (12 heads, 32 channels).
_SHARED_RANK = 4
_WIDTH_MULTIPLE = 8  # products of odd widths take up to twice the time
_LOWEST = -1e30
# 8e-31 is nothing beside the largest weight of a row, and its products are still normal numbers.
_LEAST_EXPONENT = -100.0

Extent = tuple[int, int]


class _Operands(NamedTuple):
    """Operands of one batch item; query times key is a logit to the base 2."""

    query: Tensor  # h n w
    key: Tensor  # h m w
    value: Tensor  # h m v
    pairs: TilePairs


def attend_by_tiles(terms: PointAttentionTerms) -> Attended:
    """Attend with factorised pairs or none; padding at the end of an item costs nothing."""
    pair = terms.pair
    query = lifted_queries(terms) * math.log2(math.e)
    extra = _WIDTH_MULTIPLE - query.shape[-1] % _WIDTH_MULTIPLE
    # zeros times ones: a place for the normaliser in the backward pass
    operands = [
        functional.pad(query, (0, extra)),
        functional.pad(lifted_keys(terms), (0, extra), value=1.0),
        lifted_values(terms),
    ]
    extents = list(zip(_lengths(terms.query_mask), _lengths(terms.mask), strict=True))
    if not isinstance(pair, FactorTerms):
        right = terms.key.new_empty(*terms.mask.shape, 0)
        return split_values(terms, _TiledAttention.apply(*operands, right, extents)[0], None)
    if pair.left_values.shape[2] <= _SHARED_RANK:
        factors = [pair.right_values.flatten(2)]
    else:
        factors = [pair.left_values.permute(0, 3, 1, 2), pair.right_values.permute(0, 3, 2, 1)]
    factors = [factor.contiguous() for factor in factors]
    values, pairs = _TiledAttention.apply(*operands, *factors, extents)
    if len(factors) == 1:
        pairs = contract_ranks(pairs, pair)
    return split_values(terms, values, pairs)


class _TiledAttention(torch.autograd.Function):
    """Attended values (b h n v) and what is attended of the pairs (b h n u)."""

    @staticmethod
    def forward(ctx: Any, *given: Any) -> tuple[Tensor, Tensor]:
        """Take query, key, value, one or two factors, with a batch dimension; and the extents."""
        *operands, extents = given
        query, _, value, *factors = operands
        b, h, n, _ = query.shape
        width = factors[0].shape[-1] if len(factors) == 1 else factors[0].shape[1]
        values, pairs = query.new_zeros(b, h, n, value.shape[-1]), query.new_zeros(b, h, n, width)
        query, room = query.clone(), TileRoom(query)
        for i, (num_queries, num_keys) in enumerate(extents if n else []):
            item = _item(operands, i)
            for rows in _blocks(num_queries if num_keys else 0, _ROWS):
                found = _attend_rows(item, rows, num_keys, room)
                values[i, :, rows], pairs[i, :, rows], normaliser = found
                query[i, :, rows, -1:] = -normaliser
        ctx.save_for_backward(query, *operands[1:], values, pairs)
        ctx.extents = extents
        return values, pairs

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_values: Tensor, grad_pairs: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of the operands."""
        *operands, values, pairs = ctx.saved_tensors
        gradients = [torch.zeros_like(operand) for operand in operands]
        mean = (grad_values * values).sum(-1, keepdim=True)
        mean += (grad_pairs * pairs).sum(-1, keepdim=True)
        for i, extent in enumerate(ctx.extents):
            upstream = grad_values[i], grad_pairs[i], mean[i]
            sums = [gradient[i] for gradient in gradients]
            _add_item_gradients(_item(operands, i), sums, upstream, extent)
        for gradient in gradients[:2]:  # of a power of two
            gradient *= math.log(2)
        return *gradients, None


def _item(tensors: list[Tensor], i: int) -> _Operands:
    query, key, value, *factors = (tensor[i] for tensor in tensors)
    pairs = SharedFactors(*factors) if len(factors) == 1 else TileVectors(*factors)
    return _Operands(query, key, value, pairs)


def _attend_rows(
    item: _Operands, rows: slice, num_keys: int, room: TileRoom
) -> tuple[Tensor, Tensor, Tensor]:
    """Softmax over key tiles with running statistics (Milakov and Gimelshein 2018)."""
    query = item.query[:, rows]
    highest = query.new_full((*query.shape[:2], 1), _LOWEST)
    total, values, pairs = torch.zeros_like(highest), torch.zeros(()), torch.zeros(())
    for keys in _blocks(num_keys, _KEYS):
        weights = room.product(query, item.key[:, keys].transpose(1, 2))
        top = torch.maximum(highest, weights.amax(-1, keepdim=True))
        weights.sub_(top).clamp_(min=_LEAST_EXPONENT).exp2_()
        decay = (highest - top).exp2_()
        total.mul_(decay).add_(weights.sum(-1, keepdim=True))
        values = values * decay + weights @ item.value[:, keys]
        pairs = pairs * decay + item.pairs.attended(weights, (rows, keys))
        highest = top
    return values / total, pairs / total, highest + total.log2()


def _add_item_gradients(
    item: _Operands, sums: list[Tensor], upstream: tuple[Tensor, Tensor, Tensor], extent: Extent
) -> None:
    """Add up the gradients of all operands of an item, over its tiles."""
    grad_queries, grad_keys, grad_all_values, *grad_factors = sums
    row_blocks = list(_blocks(extent[0], _ROWS))
    rooms = TileRoom(item.query), TileRoom(item.query)
    given = [tuple(part[:, rows].contiguous() for part in upstream) for rows in row_blocks]
    for keys in _blocks(extent[1], _KEYS):
        key, value = item.key[:, keys], item.value[:, keys]
        grad_key, grad_value = torch.zeros_like(key), torch.zeros_like(value)
        for rows, (grad_values, grad_pairs, mean) in zip(row_blocks, given, strict=True):
            query = item.query[:, rows]
            weights = rooms[0].product(query, key.transpose(1, 2))
            weights.clamp_(min=_LEAST_EXPONENT).exp2_()
            grad_weights = rooms[1].product(grad_values, value.transpose(1, 2))
            item.pairs.add_weight_gradients(grad_weights, grad_pairs, (rows, keys))
            grad_value.baddbmm_(weights.transpose(1, 2), grad_values)
            item.pairs.add_gradients(grad_factors, weights, grad_pairs, (rows, keys))
            grad_logits = grad_weights.sub_(mean).mul_(weights)
            grad_queries[:, rows] += grad_logits @ key
            grad_key.baddbmm_(grad_logits.transpose(1, 2), query)
        grad_keys[:, keys], grad_all_values[:, keys] = grad_key, grad_value


def _blocks(length: int, step: int) -> Iterator[slice]:
    for start in range(0, length, step):
        yield slice(start, min(start + step, length))


def _lengths(mask: Tensor) -> list[int]:
    """Number of places up to the last real one, for every item."""
    place = torch.arange(1, mask.shape[1] + 1, device=mask.device)
    lengths: list[int] = (place * mask).amax(1).tolist() if mask.shape[1] else [0] * len(mask)
    return lengths
