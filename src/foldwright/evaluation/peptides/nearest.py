"""How close peptides come to others: identity to the nearest one, and between pairs."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32, Float64, Int64

from foldwright.evaluation.peptides.edit_distance import pair_distances
from foldwright.evaluation.peptides.packed import PackedPeptides
from foldwright.runtime.progress import ProgressFactory, silent

_QUERIES_AT_ONCE = 64
_FIRST_LOOK = 24
_MOST_PAIRS = 200_000


@dataclass(frozen=True)
class Nearest:
    """The nearest reference of each peptide.

    `identity` is 1 - distance / length of the longer one; `index` the place of one of the
    nearest references.
    """

    identity: Float64[np.ndarray, " p"]
    index: Int64[np.ndarray, " p"]


def find_nearest(
    peptides: PackedPeptides,
    references: PackedPeptides,
    *,
    skip_self: bool = False,
    progress: ProgressFactory = silent,
) -> Nearest:
    """Find the nearest reference of every peptide, exactly.

    Distances are at least what the residue counts ask for, so most pairs are never aligned: a few
    promising references are aligned first, then all whose bound is better than the best of them.

    Args:
        peptides: what is looked up.
        references: where; at least one (two with `skip_self`).
        skip_self: the references are the peptides, and no peptide is its own neighbour.
        progress: counts peptides.
    """
    identity = np.empty(len(peptides))
    index = np.empty(len(peptides), dtype=np.int64)
    counts = _as_float(references)
    with progress("nearest peptides", len(peptides)) as bar:
        for start in range(0, len(peptides), _QUERIES_AT_ONCE):
            rows = np.arange(start, min(start + _QUERIES_AT_ONCE, len(peptides)))
            bounds = _bounds(peptides.take(rows), references, counts)
            if skip_self:
                bounds[np.arange(len(rows)), rows] = -1.0
            found = _nearest_of_block(peptides.take(rows), references, bounds)
            identity[rows], index[rows] = found.identity, found.index
            bar.advance(len(rows))
    return Nearest(identity, index)


def pair_identities(
    peptides: PackedPeptides, generator: torch.Generator
) -> Float64[np.ndarray, " _"]:
    """Identities of pairs of different places: all pairs, or 200,000 drawn where there are more."""
    count = len(peptides)
    if count * (count - 1) // 2 <= _MOST_PAIRS:
        first, second = np.triu_indices(count, 1)
    else:
        first = torch.randint(count, (_MOST_PAIRS,), generator=generator).numpy()
        step = torch.randint(1, count, (_MOST_PAIRS,), generator=generator).numpy()
        second = (first + step) % count
    return _identities(peptides, peptides, first, second)


def _nearest_of_block(
    peptides: PackedPeptides, references: PackedPeptides, bounds: Float32[np.ndarray, "q r"]
) -> Nearest:
    look = min(_FIRST_LOOK, len(references))
    promising = np.argpartition(-bounds, look - 1, axis=1)[:, :look]
    rows = np.repeat(np.arange(len(peptides)), look)
    values = _identities(peptides, references, rows, promising.ravel()).reshape(-1, look)
    values[np.take_along_axis(bounds, promising, axis=1) < 0] = -1.0
    best = values.argmax(axis=1)
    identity = np.take_along_axis(values, best[:, None], axis=1)[:, 0]
    index = np.take_along_axis(promising, best[:, None], axis=1)[:, 0].astype(np.int64)
    # float32 bounds: a bound that equals the best identity must not be taken for a better one.
    rows, columns = np.nonzero(bounds > identity[:, None] + 1e-6)
    values = _identities(peptides, references, rows, columns)
    order = np.argsort(values, kind="stable")  # the greatest of a row is written last
    better = order[values[order] > identity[rows[order]]]
    identity[rows[better]], index[rows[better]] = values[better], columns[better]
    return Nearest(identity, index)


def _identities(
    peptides: PackedPeptides,
    references: PackedPeptides,
    rows: Int64[np.ndarray, " k"],
    columns: Int64[np.ndarray, " k"],
) -> Float64[np.ndarray, " k"]:
    longer = np.maximum(peptides.lengths[rows], references.lengths[columns])
    return 1.0 - pair_distances(peptides, references, rows, columns) / longer


def _bounds(
    peptides: PackedPeptides, references: PackedPeptides, counts: torch.Tensor
) -> Float32[np.ndarray, "q r"]:
    """Greatest identity that the residue counts allow.

    Each edit mends at most one missing and one surplus residue, so the distance is at least the
    larger of both sums: half of (sum of absolute differences + difference of the lengths).
    """
    different = torch.cdist(_as_float(peptides), counts, p=1).numpy()
    lengths, others = peptides.lengths[:, None], references.lengths
    least = (different + np.abs(lengths - others)) / 2
    return (1.0 - least / np.maximum(lengths, others)).astype(np.float32)


def _as_float(peptides: PackedPeptides) -> torch.Tensor:
    return torch.from_numpy(peptides.residue_counts()).float()
