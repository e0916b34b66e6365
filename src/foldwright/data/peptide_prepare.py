"""From a table of peptides to a store: start residues dropped, splits drawn where it has none."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from foldwright.data.peptide_table import PeptideLimits, PeptideTable
from foldwright.runtime.errors import Problem
from foldwright.runtime.seeds import derive_seed

START_RESIDUE = "M"
_SCALE = 1 << 63


def drop_start_residues(table: PeptideTable, limits: PeptideLimits) -> PeptideTable:
    """Take the leading M off peptides without any label 1.

    Negatives of many collections are whole small proteins, which begin with M; a model would learn
    that instead of what makes peptides inactive. What becomes too short, or the same as another
    peptide, is left out and listed in `rejects`.
    """
    inactive = ~(table.labels == 1).any(axis=1)
    seen = {s for s, drop in zip(table.sequences, inactive, strict=True) if not _starts(s, drop)}
    kept, sequences, rejects = [], [], list(table.rejects)
    for row, (sequence, drop) in enumerate(zip(table.sequences, inactive, strict=True)):
        shorter = sequence[1:] if _starts(sequence, bool(drop)) else sequence
        if shorter != sequence and (shorter in seen or len(shorter) < limits.min_length):
            reason = "is another peptide" if shorter in seen else "is too short"
            rejects.append(Problem(sequence, f"without its leading M it {reason}"))
            continue
        seen.add(shorter)
        kept.append(row)
        sequences.append(shorter)
    return _select(table, kept, sequences, rejects)


def draw_splits(table: PeptideTable, *, val_share: float, seed: int) -> PeptideTable:
    """Name the splits `train` and `val` where the table has none, whole clusters at a time.

    A peptide's split depends on the seed and its cluster (its sequence, where there is no cluster)
    alone, so that a longer table leaves the others where they are.
    """
    if any(table.split):
        return table
    keys = [c or s for c, s in zip(table.cluster, table.sequences, strict=True)]
    split = ["val" if derive_seed(seed, key) / _SCALE < val_share else "train" for key in keys]
    return replace(table, split=tuple(split))


def _starts(sequence: str, drop: bool | np.bool_) -> bool:
    return bool(drop) and sequence.startswith(START_RESIDUE)


def _select(
    table: PeptideTable, rows: Sequence[int], sequences: Sequence[str], rejects: Sequence[Problem]
) -> PeptideTable:
    return replace(
        table,
        sequences=tuple(sequences),
        labels=table.labels[list(rows)],
        split=tuple(table.split[row] for row in rows),
        cluster=tuple(table.cluster[row] for row in rows),
        rejects=tuple(rejects),
    )
