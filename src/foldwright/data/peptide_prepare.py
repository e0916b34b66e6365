"""From a table of peptides to a store: what misleads is dropped, splits drawn where it has none."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from foldwright.data.peptide_table import PeptideLimits, PeptideTable
from foldwright.runtime.errors import Problem
from foldwright.runtime.seeds import derive_seed

START_RESIDUE = "M"
BASES = frozenset("ACGT")
MIN_BASES = 10
"""Shorter peptides may well consist of these four residues."""
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


def drop_nucleotide_sequences(table: PeptideTable) -> PeptideTable:
    """Leave out what reads as DNA: `MIN_BASES` letters or more, all of them A, C, G or T.

    Collections of peptides hold some, since every base is the letter of a residue too; a model
    would write such peptides. They are listed in `rejects`.
    """
    is_dna = [len(s) >= MIN_BASES and BASES.issuperset(s) for s in table.sequences]
    kept = [row for row, drop in enumerate(is_dna) if not drop]
    dropped = [s for s, drop in zip(table.sequences, is_dna, strict=True) if drop]
    rejects = [Problem(s, "has only the letters A, C, G and T: it reads as DNA") for s in dropped]
    sequences = [table.sequences[row] for row in kept]
    return _select(table, kept, sequences, [*table.rejects, *rejects])


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
