"""Point attention in tiles of rows and keys, forward and backward, for the CPU.

The pair vectors of a tile are multiplied out once and serve every head, so that the cost of a high
rank is not paid per head: (rank + heads) products per pair and channel in place of rank * heads.
Only the row statistics are kept for the backward pass, which recomputes each tile. Memory beyond
inputs and outputs does not grow with the length. Sums run in one order, so results repeat exactly.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from foldwright.nn.point_attention.lifted import (
    lifted_keys,
    lifted_queries,
    lifted_values,
    split_values,
)
from foldwright.nn.point_attention.terms import Attended, FactorTerms, PointAttentionTerms

# Measured on two EPYC cores with 12 heads: smaller tiles pay per call, larger ones leave the cache.
_ROWS = 128
_KEYS = 256
_LOWEST = -1e30

Extent = tuple[int, int]


class _Item(NamedTuple):
    """Operands of one batch item, or their gradients; the factors have their channels first."""

    query: Tensor  # h n w
    key: Tensor  # h m w
    value: Tensor  # h m v
    left: Tensor  # c n r
    right: Tensor  # c r m


def attend_by_tiles(terms: PointAttentionTerms) -> Attended:
    """Attend with factorised pairs or none; padding at the end of an item costs nothing."""
    pair = terms.pair
    if isinstance(pair, FactorTerms):
        left, right = pair.left_values.permute(0, 3, 1, 2), pair.right_values.permute(0, 3, 2, 1)
    else:
        b, _, n, _ = terms.query.shape
        left, right = terms.query.new_empty(b, 0, n, 0), terms.key.new_empty(b, 0, 0, n)
    extents = list(zip(_lengths(terms.query_mask), _lengths(terms.mask), strict=True))
    values, pairs = _TiledAttention.apply(
        lifted_queries(terms),
        lifted_keys(terms),
        lifted_values(terms),
        left.contiguous(),
        right.contiguous(),
        extents,
    )
    return split_values(terms, values, pairs if isinstance(pair, FactorTerms) else None)


class _TiledAttention(torch.autograd.Function):
    """Attended values (b h n v) and pair vectors (b h n c) from lifted operands."""

    @staticmethod
    def forward(ctx: Any, *given: Any) -> tuple[Tensor, Tensor]:
        """Take the five operands with a batch dimension, and the extents of each item."""
        *operands, extents = given
        query, _, value, left, _ = operands
        b, h, n, _ = query.shape
        values, pairs = (
            query.new_zeros(b, h, n, value.shape[-1]),
            query.new_zeros(b, h, n, left.shape[1]),
        )
        normaliser = query.new_zeros(b, h, n, 1)
        for i, (num_queries, num_keys) in enumerate(extents if n else []):
            item = _Item(*(operand[i] for operand in operands))
            for rows in _blocks(num_queries if num_keys else 0, _ROWS):
                found = _attend_rows(item, rows, num_keys)
                values[i, :, rows], pairs[i, :, rows], normaliser[i, :, rows] = found
        ctx.save_for_backward(*operands, values, pairs, normaliser)
        ctx.extents = extents
        return values, pairs

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_values: Tensor, grad_pairs: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of the five operands."""
        *operands, values, pairs, normaliser = ctx.saved_tensors
        gradients = [torch.zeros_like(operand) for operand in operands]
        mean = (grad_values * values).sum(-1, keepdim=True)
        mean += (grad_pairs * pairs).sum(-1, keepdim=True)
        for i, (num_queries, num_keys) in enumerate(ctx.extents):
            item = _Item(*(operand[i] for operand in operands))
            sums = _Item(*(gradient[i] for gradient in gradients))
            for rows in _blocks(num_queries, _ROWS):
                upstream = grad_values[i, :, rows], grad_pairs[i, :, rows].transpose(0, 1)
                kept = normaliser[i, :, rows], mean[i, :, rows]
                for keys in _blocks(num_keys, _KEYS):
                    _add_tile_gradients(item, sums, (rows, keys), upstream, kept)
        return *gradients, None


def _attend_rows(item: _Item, rows: slice, num_keys: int) -> tuple[Tensor, Tensor, Tensor]:
    """Softmax over key tiles with running statistics (Milakov and Gimelshein 2018)."""
    query, left = item.query[:, rows], item.left[:, rows]
    highest = query.new_full((*query.shape[:2], 1), _LOWEST)
    total = torch.zeros_like(highest)
    values = query.new_zeros(*query.shape[:2], item.value.shape[-1])
    pairs = query.new_zeros(query.shape[1], query.shape[0], left.shape[0])
    for keys in _blocks(num_keys, _KEYS):
        weights = query @ item.key[:, keys].transpose(1, 2)
        top = torch.maximum(highest, weights.amax(-1, keepdim=True))
        weights.sub_(top).exp_()
        decay = (highest - top).exp_()
        total.mul_(decay).add_(weights.sum(-1, keepdim=True))
        values.mul_(decay).baddbmm_(weights, item.value[:, keys])
        vectors = _pair_vectors(left, item.right[:, :, keys])
        pairs.mul_(decay.transpose(0, 1)).baddbmm_(weights.transpose(0, 1), vectors)
        highest = top
    pairs = pairs.transpose(0, 1)
    return values / total, pairs / total, highest + total.log()


def _pair_vectors(left: Tensor, right: Tensor) -> Tensor:
    """Pair vectors (rows keys c) of a tile."""
    return (left @ right).permute(1, 2, 0)


def _add_tile_gradients(
    item: _Item,
    sums: _Item,
    tile: tuple[slice, slice],
    upstream: tuple[Tensor, Tensor],
    kept: tuple[Tensor, Tensor],
) -> None:
    """Add what one tile contributes to the gradients of all operands."""
    rows, keys = tile
    grad_values, grad_pairs = upstream
    normaliser, mean = kept
    query, key, value = item.query[:, rows], item.key[:, keys], item.value[:, keys]
    left, right = item.left[:, rows], item.right[:, :, keys]
    weights = (query @ key.transpose(1, 2)).sub_(normaliser).exp_()
    by_row = weights.transpose(0, 1)
    grad_weights = grad_values @ value.transpose(1, 2)
    vectors = _pair_vectors(left, right)
    grad_weights += (grad_pairs @ vectors.transpose(1, 2)).transpose(0, 1)
    sums.value[:, keys].baddbmm_(weights.transpose(1, 2), grad_values)
    grad_vectors = (grad_pairs.transpose(1, 2) @ by_row).transpose(0, 1)
    sums.left[:, rows].baddbmm_(grad_vectors, right.transpose(1, 2))
    sums.right[:, :, keys].baddbmm_(left.transpose(1, 2), grad_vectors)
    grad_logits = grad_weights.sub_(mean).mul_(weights)
    sums.query[:, rows].baddbmm_(grad_logits, key)
    sums.key[:, keys].baddbmm_(grad_logits.transpose(1, 2), query)


def _blocks(length: int, step: int) -> Iterator[slice]:
    for start in range(0, length, step):
        yield slice(start, min(start + step, length))


def _lengths(mask: Tensor) -> list[int]:
    """Number of places up to the last real one, for every item."""
    place = torch.arange(1, mask.shape[1] + 1, device=mask.device)
    lengths: list[int] = (place * mask).amax(1).tolist() if mask.shape[1] else [0] * len(mask)
    return lengths
