"""The one door of point attention: picks a back end and checks that it can."""

from collections.abc import Callable

from foldwright.geometry.vectors import without_autocast
from foldwright.nn.point_attention.choice import PointBackend, choose_backend
from foldwright.nn.point_attention.lifted import attend_by_products, attend_by_sdpa
from foldwright.nn.point_attention.neighbours import attend_to_neighbours
from foldwright.nn.point_attention.reference import attend_by_differences
from foldwright.nn.point_attention.terms import (
    Attended,
    DenseTerms,
    NeighbourTerms,
    PointAttentionTerms,
    in_one_dtype,
)
from foldwright.nn.point_attention.tiles import attend_by_tiles
from foldwright.nn.point_attention.triton_launch import attend_by_triton

_METHODS: dict[PointBackend, Callable[[PointAttentionTerms], Attended]] = {
    "reference": attend_by_differences,
    "dense": attend_by_products,
    "tiles": attend_by_tiles,
    "sdpa": attend_by_sdpa,
    "gather": attend_to_neighbours,
}


def attend(terms: PointAttentionTerms, *, backend: PointBackend = "auto") -> Attended:
    """Attend by the named back end; `auto` takes the one that suits pairs, device and length.

    `reference` and `dense` evaluate every pair, the first by explicit differences as the judge of
    the others. `tiles` (for the CPU), `sdpa` (PyTorch's fused kernels, any device) and `triton`
    (CUDA) are linear in memory, for factorised pairs or none. `gather` takes neighbour lists, for
    sparse pairs. Padded queries, and chains without a real key, get zero.

    Raises:
        ValueError: the back end cannot compute pairs of this kind, or not on this device.
        ModuleNotFoundError: `triton` was named and is not installed.
    """
    if backend == "auto":
        backend = choose_backend(terms)
    _require_ability(terms, backend)
    with without_autocast(terms.query):
        if backend == "triton":
            attended = attend_by_triton(terms)  # which keeps half precision where it is harmless
        else:
            attended = _METHODS[backend](in_one_dtype(terms))
    real = (terms.query_mask & terms.mask.any(-1, keepdim=True))[:, None, :, None]
    pairs = None if attended.pairs is None else attended.pairs * real
    return Attended(attended.scalars * real, attended.points * real[..., None], pairs)


def _require_ability(terms: PointAttentionTerms, backend: PointBackend) -> None:
    pair = terms.pair
    if backend == "gather" and not isinstance(pair, NeighbourTerms):
        needs = "neighbour lists, so sparse pairs"
    elif backend in ("tiles", "sdpa", "triton") and isinstance(pair, DenseTerms | NeighbourTerms):
        needs = (
            "logits that are inner products: query width c + 3p + 1 + rank, so factorised pairs "
            "or none"
        )
    elif backend == "dense" and isinstance(pair, NeighbourTerms):
        needs = "a value for all n * m pairs, so dense or factorised pairs or none"
    else:
        return
    raise ValueError(
        f"point attention back end {backend!r} needs {needs}; got {type(pair).__name__}: "
        "use 'auto' or 'reference'"
    )
