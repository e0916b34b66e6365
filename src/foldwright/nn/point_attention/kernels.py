"""Triton kernels of point attention; imported only where Triton is installed.

Tiles of rows and keys with running softmax statistics. Squared distances are sums of squared
differences in float32; features, values and pair factors are products on tensor cores, float32
ones in three TF32 parts, so that they keep their digits. Each kernel owns what it writes and walks
the other axis in one order: no atomics, so results repeat exactly. Tiles beyond the last real
query or key of an item are not visited. Widths may be anything: the last grid axis walks blocks of
columns, ranks are walked one by one.
"""

from typing import Any, NamedTuple, no_type_check

import triton
import triton.language as tl

_LOWEST = tl.constexpr(-1e30)


class KernelSizes(NamedTuple):
    """Widths of the operands and of the blocks in which they are taken (powers of two)."""

    heads: int
    feature: int  # query and key features, left and right factors of the bias
    coordinate: int  # three per query-key point
    scalar: int  # values; `value` is a name that constants of Triton have
    value_coordinate: int  # three per value point
    rank: int
    channel: int
    rows: int
    keys: int
    feature_block: int
    coordinate_block: int
    scalar_block: int
    value_coordinate_block: int
    channel_block: int
    factor_block: int


class KernelOperands(NamedTuple):
    """Contiguous tensors: rows of heads (b*h n w) or of items (b n r*c), and how many there are."""

    query: Any
    key: Any
    query_points: Any
    key_points: Any
    value: Any
    value_points: Any
    left: Any
    right: Any
    weight: Any  # h
    mask: Any  # b m
    num_queries: Any  # b: the last real query, counted from one
    num_keys: Any
    n: Any
    m: Any


class KernelResults(NamedTuple):
    """Attended values or their gradients, and one number per row."""

    scalars: Any  # `values` is a name that tuples of Triton have
    points: Any
    pairs: Any
    normaliser: Any  # logarithm of the sum of exponentials
    mean: Any  # mean gradient of the row's weights; only read by the backward pass


class KernelGradients(NamedTuple):
    """Gradients of the operands of the same names; `weight` per row."""

    query: Any
    key: Any
    query_points: Any
    key_points: Any
    value: Any
    value_points: Any
    left: Any
    right: Any
    weight: Any


@triton.jit
@no_type_check
def _load(base, rows, limit, columns, width):
    inside = (rows < limit)[:, None] & (columns < width)[None, :]
    return tl.load(base + rows[:, None] * width + columns[None, :], mask=inside, other=0.0)


@triton.jit
@no_type_check
def _store(base, rows, limit, columns, width, found):
    inside = (rows < limit)[:, None] & (columns < width)[None, :]
    tl.store(base + rows[:, None] * width + columns[None, :], found, mask=inside)


@triton.jit
@no_type_check
def _dot(one, two):
    return tl.dot(one.to(two.dtype), two, input_precision="tf32x3")


@triton.jit
@no_type_check
def _logits(t, head, rows, keys, sizes: tl.constexpr):
    """Logits of a tile and its squared distances, summed over points."""
    width: tl.constexpr = sizes.feature
    step: tl.constexpr = sizes.feature_block
    coordinates: tl.constexpr = sizes.coordinate
    query = t.query + head * t.n * width
    key = t.key + head * t.m * width
    logits = tl.full([sizes.rows, sizes.keys], 0.0, tl.float32)
    for start in tl.static_range(0, width, step):
        columns = start + tl.arange(0, step)
        one = _load(query, rows, t.n, columns, width)
        logits += _dot(one, tl.trans(_load(key, keys, t.m, columns, width)))
    squares = tl.full([sizes.rows, sizes.keys], 0.0, tl.float32)
    query_points = t.query_points + (head * t.n + rows) * coordinates
    key_points = t.key_points + (head * t.m + keys) * coordinates
    for x in tl.static_range(coordinates):
        at = tl.load(query_points + x, mask=rows < t.n, other=0.0)
        other = tl.load(key_points + x, mask=keys < t.m, other=0.0)
        offset = at[:, None] - other[None, :]
        squares += offset * offset
    logits -= 0.5 * tl.load(t.weight + head % sizes.heads) * squares
    real = tl.load(t.mask + head // sizes.heads * t.m + keys, mask=keys < t.m, other=0) != 0
    return tl.where(real[None, :], logits, _LOWEST), squares


@triton.jit
@no_type_check
def _row_numbers(numbers, head, rows, n):
    return tl.load(numbers + head * n + rows, mask=rows < n, other=0.0)


@triton.jit
@no_type_check
def _weights(t, kept, head, rows, keys, sizes: tl.constexpr):
    """Attention weights of a tile from the kept statistics, zero on padding; and the squares."""
    logits, squares = _logits(t, head, rows, keys, sizes)
    weights = tl.exp(logits - _row_numbers(kept.normaliser, head, rows, t.n)[:, None])
    return tl.where((rows < t.n)[:, None] & (logits > _LOWEST), weights, 0.0), squares


@triton.jit
@no_type_check
def _logit_gradients(t, given, head, rows, keys, sizes: tl.constexpr):
    """Weights, gradients of the logits, and squared distances of a tile."""
    weights, squares = _weights(t, given, head, rows, keys, sizes)
    gradients = tl.full([sizes.rows, sizes.keys], 0.0, tl.float32)
    gradients -= _row_numbers(given.mean, head, rows, t.n)[:, None]
    width: tl.constexpr = sizes.scalar
    scalar_step: tl.constexpr = sizes.scalar_block
    for start in tl.static_range(0, width, scalar_step):
        columns = start + tl.arange(0, scalar_step)
        upstream = _load(given.scalars + head * t.n * width, rows, t.n, columns, width)
        value = _load(t.value + head * t.m * width, keys, t.m, columns, width)
        gradients += _dot(upstream, tl.trans(value))
    spread: tl.constexpr = sizes.value_coordinate
    value_coordinate_step: tl.constexpr = sizes.value_coordinate_block
    for start in tl.static_range(0, spread, value_coordinate_step):
        columns = start + tl.arange(0, value_coordinate_step)
        upstream = _load(given.points + head * t.n * spread, rows, t.n, columns, spread)
        value = _load(t.value_points + head * t.m * spread, keys, t.m, columns, spread)
        gradients += _dot(upstream, tl.trans(value))
    channels: tl.constexpr = sizes.channel
    factors: tl.constexpr = sizes.rank * sizes.channel
    channel_step: tl.constexpr = sizes.channel_block
    item = head // sizes.heads
    for start in tl.static_range(0, channels, channel_step):
        columns = start + tl.arange(0, channel_step)
        upstream = _load(given.pairs + head * t.n * channels, rows, t.n, columns, channels)
        inside = tl.where(columns < channels, columns, factors)
        for r in range(sizes.rank):
            left = _load(t.left + item * t.n * factors, rows, t.n, r * channels + inside, factors)
            right = _load(t.right + item * t.m * factors, keys, t.m, r * channels + inside, factors)
            gradients += _dot(upstream * left, tl.trans(right))
    return weights, gradients * weights, squares


@triton.jit
@no_type_check
def attend_kernel(t, out, sizes: tl.constexpr):
    """Attended values, points and pair vectors of a tile of rows, for one block of columns."""
    rows = tl.program_id(0) * sizes.rows + tl.arange(0, sizes.rows)
    head, block = tl.program_id(1).to(tl.int64), tl.program_id(2)
    item = head // sizes.heads
    wide: tl.constexpr = sizes.scalar
    spread: tl.constexpr = sizes.value_coordinate
    channels: tl.constexpr = sizes.channel
    factors: tl.constexpr = sizes.rank * sizes.channel
    value_columns = block * sizes.scalar_block + tl.arange(0, sizes.scalar_block)
    point_columns = block * sizes.value_coordinate_block
    point_columns += tl.arange(0, sizes.value_coordinate_block)
    pair_columns = block * sizes.channel_block + tl.arange(0, sizes.channel_block)
    inside = tl.where(pair_columns < channels, pair_columns, factors)
    highest = tl.full([sizes.rows], _LOWEST, tl.float32)
    total = tl.full([sizes.rows], 0.0, tl.float32)
    values = tl.full([sizes.rows, sizes.scalar_block], 0.0, tl.float32)
    points = tl.full([sizes.rows, sizes.value_coordinate_block], 0.0, tl.float32)
    pairs = tl.full([sizes.rows, sizes.channel_block], 0.0, tl.float32)
    visited = tl.program_id(0) * sizes.rows < tl.load(t.num_queries + item)
    num_keys = tl.where(visited, tl.load(t.num_keys + item), 0)
    for start in range(0, num_keys, sizes.keys):
        keys = start + tl.arange(0, sizes.keys)
        logits, _ = _logits(t, head, rows, keys, sizes)
        top = tl.maximum(highest, tl.max(logits, 1))
        weights = tl.exp(logits - top[:, None])
        decay = tl.exp(highest - top)
        highest = top
        total = total * decay + tl.sum(weights, 1)
        value = _load(t.value + head * t.m * wide, keys, t.m, value_columns, wide)
        values = values * decay[:, None] + _dot(weights, value)
        value = _load(t.value_points + head * t.m * spread, keys, t.m, point_columns, spread)
        points = points * decay[:, None] + _dot(weights, value)
        pairs *= decay[:, None]
        for r in range(sizes.rank):
            columns = r * channels + inside
            right = _load(t.right + item * t.m * factors, keys, t.m, columns, factors)
            left = _load(t.left + item * t.n * factors, rows, t.n, columns, factors)
            pairs += left * _dot(weights, right)
    total = tl.where(total > 0, total, 1.0)
    inverse = (1 / total)[:, None]
    _store(out.scalars + head * t.n * wide, rows, t.n, value_columns, wide, values * inverse)
    base = out.points + head * t.n * spread
    _store(base, rows, t.n, point_columns, spread, points * inverse)
    base = out.pairs + head * t.n * channels
    _store(base, rows, t.n, pair_columns, channels, pairs * inverse)
    first = (rows < t.n) & (block == 0)
    tl.store(out.normaliser + head * t.n + rows, highest + tl.log(total), mask=first)


@triton.jit
@no_type_check
def row_gradient_kernel(t, given, out, sizes: tl.constexpr):
    """Gradients of queries, query points and point weights of a tile of rows."""
    rows = tl.program_id(0) * sizes.rows + tl.arange(0, sizes.rows)
    head, block = tl.program_id(1).to(tl.int64), tl.program_id(2)
    width: tl.constexpr = sizes.feature
    spread: tl.constexpr = sizes.coordinate
    columns = block * sizes.feature_block + tl.arange(0, sizes.feature_block)
    point_columns = block * sizes.coordinate_block + tl.arange(0, sizes.coordinate_block)
    query = tl.full([sizes.rows, sizes.feature_block], 0.0, tl.float32)
    points = tl.full([sizes.rows, sizes.coordinate_block], 0.0, tl.float32)
    weight = tl.full([sizes.rows], 0.0, tl.float32)
    total = tl.full([sizes.rows], 0.0, tl.float32)
    item = head // sizes.heads
    visited = tl.program_id(0) * sizes.rows < tl.load(t.num_queries + item)
    num_keys = tl.where(visited, tl.load(t.num_keys + item), 0)
    for start in range(0, num_keys, sizes.keys):
        keys = start + tl.arange(0, sizes.keys)
        _, gradients, squares = _logit_gradients(t, given, head, rows, keys, sizes)
        query += _dot(gradients, _load(t.key + head * t.m * width, keys, t.m, columns, width))
        base = t.key_points + head * t.m * spread
        points += _dot(gradients, _load(base, keys, t.m, point_columns, spread))
        total += tl.sum(gradients, 1)
        weight -= 0.5 * tl.sum(gradients * squares, 1)
    own = _load(t.query_points + head * t.n * spread, rows, t.n, point_columns, spread)
    points = (points - own * total[:, None]) * tl.load(t.weight + head % sizes.heads)
    _store(out.query + head * t.n * width, rows, t.n, columns, width, query)
    _store(out.query_points + head * t.n * spread, rows, t.n, point_columns, spread, points)
    first = (rows < t.n) & (block == 0)
    tl.store(out.weight + head * t.n + rows, weight, mask=first)


@triton.jit
@no_type_check
def key_gradient_kernel(t, given, out, sizes: tl.constexpr):
    """Gradients of keys, key points, values and value points of a tile of keys."""
    keys = tl.program_id(0) * sizes.keys + tl.arange(0, sizes.keys)
    head, block = tl.program_id(1).to(tl.int64), tl.program_id(2)
    width: tl.constexpr = sizes.feature
    near: tl.constexpr = sizes.coordinate
    wide: tl.constexpr = sizes.scalar
    spread: tl.constexpr = sizes.value_coordinate
    columns = block * sizes.feature_block + tl.arange(0, sizes.feature_block)
    near_columns = block * sizes.coordinate_block + tl.arange(0, sizes.coordinate_block)
    wide_columns = block * sizes.scalar_block + tl.arange(0, sizes.scalar_block)
    spread_columns = block * sizes.value_coordinate_block
    spread_columns += tl.arange(0, sizes.value_coordinate_block)
    key = tl.full([sizes.keys, sizes.feature_block], 0.0, tl.float32)
    near_points = tl.full([sizes.keys, sizes.coordinate_block], 0.0, tl.float32)
    value = tl.full([sizes.keys, sizes.scalar_block], 0.0, tl.float32)
    value_points = tl.full([sizes.keys, sizes.value_coordinate_block], 0.0, tl.float32)
    total = tl.full([sizes.keys], 0.0, tl.float32)
    item = head // sizes.heads
    visited = tl.program_id(0) * sizes.keys < tl.load(t.num_keys + item)
    num_queries = tl.where(visited, tl.load(t.num_queries + item), 0)
    for start in range(0, num_queries, sizes.rows):
        rows = start + tl.arange(0, sizes.rows)
        weights, gradients, _ = _logit_gradients(t, given, head, rows, keys, sizes)
        weights, gradients = tl.trans(weights), tl.trans(gradients)
        key += _dot(gradients, _load(t.query + head * t.n * width, rows, t.n, columns, width))
        base = t.query_points + head * t.n * near
        near_points += _dot(gradients, _load(base, rows, t.n, near_columns, near))
        total += tl.sum(gradients, 1)
        upstream = _load(given.scalars + head * t.n * wide, rows, t.n, wide_columns, wide)
        value += _dot(weights, upstream.to(t.value.dtype.element_ty))
        base = given.points + head * t.n * spread
        value_points += _dot(weights, _load(base, rows, t.n, spread_columns, spread))
    own = _load(t.key_points + head * t.m * near, keys, t.m, near_columns, near)
    near_points = (near_points - own * total[:, None]) * tl.load(t.weight + head % sizes.heads)
    _store(out.key + head * t.m * width, keys, t.m, columns, width, key)
    _store(out.key_points + head * t.m * near, keys, t.m, near_columns, near, near_points)
    _store(out.value + head * t.m * wide, keys, t.m, wide_columns, wide, value)
    base = out.value_points + head * t.m * spread
    _store(base, keys, t.m, spread_columns, spread, value_points)


@triton.jit
@no_type_check
def left_gradient_kernel(t, given, out, sizes: tl.constexpr):
    """Gradients of left factors of a tile of rows, summed over heads."""
    rows = tl.program_id(0) * sizes.rows + tl.arange(0, sizes.rows)
    item = tl.program_id(1).to(tl.int64)
    channels: tl.constexpr = sizes.channel
    factors: tl.constexpr = sizes.rank * sizes.channel
    columns = tl.program_id(2) * sizes.factor_block + tl.arange(0, sizes.factor_block)
    found = tl.full([sizes.rows, sizes.factor_block], 0.0, tl.float32)
    visited = tl.program_id(0) * sizes.rows < tl.load(t.num_queries + item)
    num_keys = tl.where(visited, tl.load(t.num_keys + item), 0)
    for h in range(sizes.heads):
        head = item * sizes.heads + h
        attended = tl.full([sizes.rows, sizes.factor_block], 0.0, tl.float32)
        for start in range(0, num_keys, sizes.keys):
            keys = start + tl.arange(0, sizes.keys)
            weights, _ = _weights(t, given, head, rows, keys, sizes)
            base = t.right + item * t.m * factors
            attended += _dot(weights, _load(base, keys, t.m, columns, factors))
        base = given.pairs + head * t.n * channels
        found += attended * _load(base, rows, t.n, columns % channels, channels)
    _store(out.left + item * t.n * factors, rows, t.n, columns, factors, found)


@triton.jit
@no_type_check
def right_gradient_kernel(t, given, out, sizes: tl.constexpr):
    """Gradients of right factors of a tile of keys, summed over heads."""
    keys = tl.program_id(0) * sizes.keys + tl.arange(0, sizes.keys)
    item = tl.program_id(1).to(tl.int64)
    channels: tl.constexpr = sizes.channel
    factors: tl.constexpr = sizes.rank * sizes.channel
    columns = tl.program_id(2) * sizes.factor_block + tl.arange(0, sizes.factor_block)
    found = tl.full([sizes.keys, sizes.factor_block], 0.0, tl.float32)
    visited = tl.program_id(0) * sizes.keys < tl.load(t.num_keys + item)
    num_queries = tl.where(visited, tl.load(t.num_queries + item), 0)
    for h in range(sizes.heads):
        head = item * sizes.heads + h
        for start in range(0, num_queries, sizes.rows):
            rows = start + tl.arange(0, sizes.rows)
            weights, _ = _weights(t, given, head, rows, keys, sizes)
            left = _load(t.left + item * t.n * factors, rows, t.n, columns, factors)
            base = given.pairs + head * t.n * channels
            upstream = left * _load(base, rows, t.n, columns % channels, channels)
            found += _dot(tl.trans(weights), upstream.to(left.dtype))
    _store(out.right + item * t.m * factors, keys, t.m, columns, factors, found)


def interpreted() -> bool:
    """Whether the kernels run in Triton's interpreter, which needs no GPU."""
    return not isinstance(attend_kernel, triton.runtime.JITFunction)
