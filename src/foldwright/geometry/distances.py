"""Distances between points, whole or in row blocks that never hold the full matrix."""

from collections.abc import Iterator

import torch
from jaxtyping import Float, Int
from torch import Tensor

from foldwright.geometry.vectors import at_least_float32, norm

# Distances held at once by the reductions: 16 MB of float32 differences and less.
_BLOCK_ELEMENTS = 1 << 20


def pairwise_distances(
    first: Float[Tensor, "*batch n 3"], second: Float[Tensor, "*batch m 3"]
) -> Float[Tensor, "*batch n m"]:
    """Distance of every point of `first` to every point of `second`.

    Taken from coordinate differences, which stay exact far from the origin, where
    expanding the square does not. Coinciding points have distance 0 and gradient 0.
    """
    first, second = at_least_float32(first, second)
    return norm(first[..., :, None, :] - second[..., None, :, :])


def close_pairs(
    points: Float[Tensor, "n 3"], cutoff: float, *, min_separation: int = 1
) -> Int[Tensor, "k 2"]:
    """Index pairs i < j nearer than `cutoff` (Å) with j - i >= `min_separation`, in order.

    Memory grows with the pairs found, not with n². Points that are not finite are
    near nothing.
    """
    found = [points.new_zeros((0, 2), dtype=torch.int64)]
    for start, near in _near_blocks(points, cutoff, min_separation):
        found.append(near.nonzero() + near.new_tensor([start, start], dtype=torch.int64))
    return torch.cat(found)


def count_close_pairs(
    points: Float[Tensor, "n 3"], cutoff: float, *, min_separation: int = 1
) -> int:
    """How many index pairs `close_pairs` would list."""
    return sum(int(near.sum()) for _, near in _near_blocks(points, cutoff, min_separation))


def contact_counts(
    points: Float[Tensor, "n 3"], cutoff: float, *, min_separation: int = 1
) -> Int[Tensor, "n"]:
    """How many other points lie nearer than `cutoff` (Å) to each, |i - j| >= `min_separation`."""
    counts = points.new_zeros(len(points), dtype=torch.int64)
    for start, near in _near_blocks(points, cutoff, min_separation):
        counts[start : start + near.shape[0]] += near.sum(dim=1)
        counts[start:] += near.sum(dim=0)
    return counts


def _near_blocks(
    points: Float[Tensor, "n 3"], cutoff: float, min_separation: int
) -> Iterator[tuple[int, Tensor]]:
    """Blocks of rows: (start, near) where near[i, j] is about points start+i < start+j."""
    if min_separation < 1:
        raise ValueError(f"min_separation must be at least 1: got {min_separation}.")
    start, num_points = 0, len(points)
    index = torch.arange(num_points, device=points.device)
    while start < num_points:
        stop = start + max(1, _BLOCK_ELEMENTS // (num_points - start))
        rows, columns = points[start:stop], points[start:]
        apart = index[start:] - index[start:stop, None] >= min_separation
        yield start, (pairwise_distances(rows, columns) < cutoff) & apart
        start = stop
