"""Buffers that are reused through a whole pass, and the fixed blocks that work is cut into."""

from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor

POSITIONS_PER_BLOCK = {"cpu": 2048}
"""Pairs in one block of rows: as many as stay in a CPU's cache, elsewhere `_LARGE_BLOCK`.

Constants on purpose: matrix products give other bits with another number of rows, so a memory plan
may choose how much is held at a time but not this."""
_LARGE_BLOCK = 1 << 17

_PADDING = 16


class Workspace:
    """Named buffers that grow to the largest use and are then reused.

    Fresh large tensors cost as much as arithmetic on a CPU: the operating system maps and clears
    every page anew. A tensor from here holds anything and is valid until its name is taken again.

    `factors_at_once` is how many groups of channels the triangle multiplication holds at a time.
    """

    def __init__(self, *, factors_at_once: int | None = None) -> None:
        self.factors_at_once = factors_at_once
        self._buffers: dict[tuple[str, torch.dtype, torch.device], Tensor] = {}

    def take(self, name: str, shape: tuple[int, ...], like: Tensor) -> Tensor:
        """Return a contiguous tensor of this shape with the type and device of `like`."""
        count = 1
        for size in shape:
            count *= size
        key = (name, like.dtype, like.device)
        buffer = self._buffers.get(key)
        if buffer is None or buffer.numel() < count:
            buffer = self._buffers[key] = like.new_empty(count)
        return buffer[:count].view(shape)

    def channels_first(self, name: str, shape: tuple[int, int, int], like: Tensor) -> Tensor:
        """Return a tensor (c, n, m) whose channels do not lie at multiples of a power of two.

        Reading all channels of one pair from such distances would use one cache line set only.
        """
        channels, n, m = shape
        stride = n * m + _PADDING
        flat = self.take(name, (channels * stride,), like)
        return flat.view(channels, stride)[:, : n * m].view(channels, n, m)


def positions_per_block(device: torch.device) -> int:
    """Return how many pairs are worked on at a time on this kind of device."""
    return POSITIONS_PER_BLOCK.get(device.type, _LARGE_BLOCK)


def position_blocks(positions: Float[Tensor, "p c"], share: int = 1) -> Iterator[slice]:
    """Cut positions, as pairs without their rows, into blocks, or each of those in `share` parts.

    Products with a multiple of 64 positions are a tenth faster than with whole rows of pairs.
    """
    step = positions_per_block(positions.device) // share
    for start in range(0, len(positions), step):
        yield slice(start, min(start + step, len(positions)))


def row_blocks(pair: Tensor) -> Iterator[slice]:
    """Cut the rows of a pair tensor (rows, columns, channels) into blocks."""
    rows, columns = pair.shape[:2]
    step = max(1, positions_per_block(pair.device) // max(columns, 1))
    for start in range(0, rows, step):
        yield slice(start, min(start + step, rows))
