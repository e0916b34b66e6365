"""Activity labels as files write them: cells of label columns, and the classes of StructDiff."""

import difflib
from collections.abc import Mapping

UNKNOWN = -1
"""The value of a label that nobody measured or assumed."""

NOT_LABELS = frozenset(
    (
        *("id", "name", "sequence", "length", "split", "cluster", "weight", "source", "sources"),
        *("n_sources", "annotation", "conflict", "structdiff_set", "structdiff_label"),
        *("log10_mic_ecoli_uM", "log10_mic_saureus_uM"),
    )
)
"""Columns that describe a peptide and are no labels."""

CLASS_COLUMNS = ("label", "peptide_type")
"""Columns with one class per peptide, as StructDiff and CPL-Diff write them."""

CLASSES = ("antimicrobial", "antifungal", "antiviral")
"""StructDiff's classes in the order of their numbers."""

_VALUES = {"1": 1, "0": 0, "1.0": 1, "0.0": 0, "": UNKNOWN}


def parse_cell(cell: str, column: str) -> tuple[int, str]:
    """Return the value of a cell of a label column and what is wrong with it, or ""."""
    if cell in _VALUES:
        return _VALUES[cell], ""
    return UNKNOWN, (
        f"column {column} has {cell!r}; expected 1, 0 or nothing, or name the column among those "
        "to leave out"
    )


def class_labels(cell: str, column: str) -> tuple[Mapping[str, int], tuple[str, ...]]:
    """Return the labels of a class given by number or name, and what is wrong with it.

    Antifungal and antiviral peptides are antimicrobial ones; nothing is known of other labels.
    """
    name = CLASSES[int(cell)] if cell in ("0", "1", "2") else cell.lower()
    if name in CLASSES:
        return dict.fromkeys(CLASSES, UNKNOWN) | {"antimicrobial": 1, name: 1}, ()
    if not cell:
        return {}, (f"{column} is missing; expected one of {', '.join(CLASSES)}",)
    near = difflib.get_close_matches(name, CLASSES, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]}?" if near else ""
    return {}, (f"{column} is {cell!r}; expected one of {', '.join(CLASSES)} or 0, 1, 2{hint}",)
