"""How unexpected the order of residues is to a model of three residues."""

import numpy as np
from jaxtyping import Float64, Int64

from foldwright.evaluation.peptides.packed import NUM_RESIDUES, PackedPeptides

_START = NUM_RESIDUES
_SYMBOLS = NUM_RESIDUES + 1
_WEIGHTS = (0.7, 0.2, 0.09)
"""Of three, two and one residues; what is left is the same for every residue."""


class TrigramModel:
    """Chances of a residue after two others, mixed with those after one and after none.

    Counts of the training peptides, mixed with fixed weights (Jelinek and Mercer 1980); where a
    context was never seen its weight goes to the shorter one.
    """

    def __init__(self, training: PackedPeptides) -> None:
        symbols = _with_start(training)
        ends = symbols[:, 2:]
        real = ends >= 0
        two, one, end = symbols[:, :-2][real], symbols[:, 1:-1][real], ends[real]
        shape = (_SYMBOLS, _SYMBOLS, NUM_RESIDUES)
        flat = (two * _SYMBOLS + one) * NUM_RESIDUES + end
        counts = np.bincount(flat, minlength=int(np.prod(shape))).reshape(shape)
        self._chances = _mix(counts)

    def perplexity(self, peptides: PackedPeptides) -> float:
        """Return exp of the mean negative logarithm of the chance of a residue."""
        symbols = _with_start(peptides)
        ends = symbols[:, 2:]
        real = ends >= 0
        chances = self._chances[symbols[:, :-2][real], symbols[:, 1:-1][real], ends[real]]
        return float(np.exp(-np.log(chances).mean()))


def _mix(counts: Int64[np.ndarray, "21 21 20"]) -> Float64[np.ndarray, "21 21 20"]:
    chances = np.full(NUM_RESIDUES, 1.0 / NUM_RESIDUES)
    shorter_share = 1.0 - sum(_WEIGHTS)
    mixed: Float64[np.ndarray, "..."] = chances
    for weight, table in zip(
        reversed(_WEIGHTS), (counts.sum(axis=(0, 1)), counts.sum(axis=0), counts), strict=True
    ):
        total = table.sum(axis=-1, keepdims=True)
        own = table / np.maximum(total, 1)
        share = np.where(total > 0, weight / (weight + shorter_share), 0.0)
        mixed = share * own + (1 - share) * mixed
        shorter_share += weight
    return mixed


def _with_start(peptides: PackedPeptides) -> Int64[np.ndarray, "p _"]:
    start = np.full((len(peptides), 2), _START, dtype=np.int64)
    return np.concatenate([start, peptides.tokens], axis=1)
