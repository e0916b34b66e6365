"""Tables of peptides with activity labels, from CSV and FASTA files."""

import csv
import gzip
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Int8

from foldwright.data.peptide_labels import (
    CLASS_COLUMNS,
    NOT_LABELS,
    UNKNOWN,
    class_labels,
    parse_cell,
)
from foldwright.runtime.errors import InputError, Problem
from foldwright.sequence.fasta import read_fasta
from foldwright.sequence.residues import RESIDUES, first_unknown

_FASTA_SUFFIXES = (".fasta", ".fa", ".faa")
_SHOWN = 12
"""Residues of a long sequence that a message shows."""


@dataclass(frozen=True)
class PeptideLimits:
    """Which lengths are taken, in residues."""

    min_length: int = 5
    max_length: int = 50


_LIMITS = PeptideLimits()


@dataclass(frozen=True, eq=False)
class PeptideTable:
    """Peptides and what is known of them.

    Attributes:
        labels: 1 active, 0 not, -1 unknown, by peptide and label.
        split: name of the split of each peptide, "" where the file has none.
        cluster: name of the cluster of each peptide, "" where the file has none.
        rejects: rows that were left out, where the reader was asked to leave them out.
    """

    sequences: tuple[str, ...]
    labels: Int8[np.ndarray, "p l"]
    label_names: tuple[str, ...]
    split: tuple[str, ...]
    cluster: tuple[str, ...]
    rejects: tuple[Problem, ...] = field(default=())

    def __len__(self) -> int:
        return len(self.sequences)

    @classmethod
    def read(
        cls,
        path: Path | str,
        *,
        limits: PeptideLimits = _LIMITS,
        ignore: Sequence[str] = (),
        skip_bad_rows: bool = False,
    ) -> "PeptideTable":
        """Read a CSV or FASTA file, gzipped or not.

        A CSV has the column `sequence`, perhaps `split` and `cluster`, and one column per label
        with 1, 0 or nothing; columns that describe (`source`, `length`, ...) are left out. The
        forms of StructDiff are read too: a column `label` with 0, 1, 2 or `peptide_type` with
        names, and FASTA headers `>name|type`; the type becomes 1, what it implies too, and all
        else is unknown.

        Args:
            path: the file.
            limits: lengths that are taken.
            ignore: columns that are no labels.
            skip_bad_rows: leave bad rows out and return them as `rejects` instead of raising.

        Raises:
            InputError: every bad row with its number: unknown residue, length out of range, empty,
                duplicate, label value. Faults of the file as a whole are raised in any case.
        """
        path = Path(path)
        stem = path.name.removesuffix(".gz")
        is_fasta = stem.endswith(_FASTA_SUFFIXES)
        rows = _fasta_rows(path) if is_fasta else _csv_rows(path, ignore)
        good, problems = _sift(rows, limits)
        if not good and not problems:
            problems.append(Problem(str(path), "holds no peptide"))
        if problems and not (skip_bad_rows and good):
            raise InputError(problems)
        return _assemble(good, tuple(problems))


@dataclass(frozen=True)
class _Row:
    """One row as read: its place, its cells, and what is wrong with its labels."""

    place: str
    sequence: str
    labels: Mapping[str, int]
    split: str = ""
    cluster: str = ""
    faults: tuple[str, ...] = ()


def _fasta_rows(path: Path) -> Iterator[_Row]:
    records = read_fasta(path)
    has_types = any("|" in record.name for record in records)
    for record in records:
        labels: Mapping[str, int] = {}
        faults: tuple[str, ...] = ()
        if has_types:
            labels, faults = class_labels(record.name.rpartition("|")[2].strip(), "type")
        yield _Row(f"{path}, line {record.line}", record.sequence, labels, faults=faults)


def _csv_rows(path: Path, ignore: Sequence[str]) -> Iterator[_Row]:
    reader = csv.reader(io.StringIO(_read_text(path)))
    header = [name.strip() for name in next(reader, [])]
    _require_columns(path, header, ignore)
    class_column = next((name for name in CLASS_COLUMNS if name in header), None)
    skipped = {*NOT_LABELS, *ignore, *CLASS_COLUMNS}
    label_names = [name for name in header if name not in skipped]
    for cells in reader:
        place = f"{path}, line {reader.line_num}"
        if len(cells) != len(header):
            message = f"has {len(cells)} cells, the header {len(header)}" if cells else "is empty"
            yield _Row(place, "", {}, faults=(message,))
            continue
        row = dict(zip(header, (cell.strip() for cell in cells), strict=True))
        parsed = [(name, *parse_cell(row[name], name)) for name in label_names]
        labels = {name: value for name, value, _ in parsed}
        faults = tuple(fault for _, _, fault in parsed if fault)
        if class_column is not None:
            extra, more = class_labels(row[class_column], class_column)
            labels, faults = {**labels, **extra}, faults + more
        split, cluster = row.get("split", ""), row.get("cluster", "")
        yield _Row(place, row["sequence"], labels, split, cluster, faults)


def _read_text(path: Path) -> str:
    try:
        content = path.read_bytes()
        return (gzip.decompress(content) if path.suffix == ".gz" else content).decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(Problem(str(path), "is not text; expected a CSV file")) from error
    except (OSError, EOFError) as error:
        raise InputError(Problem(str(path), f"cannot be read: {error}")) from error


def _require_columns(path: Path, header: Sequence[str], ignore: Sequence[str]) -> None:
    problems = []
    if "sequence" not in header:
        found = ", ".join(header[:8]) or "nothing"
        problems.append(Problem(str(path), f"has no column sequence; its header is: {found}"))
    for name in sorted({name for name in header if header.count(name) > 1}):
        problems.append(Problem(str(path), f"has the column {name!r} more than once"))
    for name in ignore:
        if name not in header:
            problems.append(Problem(str(path), f"has no column {name!r} to leave out"))
    if problems:
        raise InputError(problems)


def _sift(rows: Iterable[_Row], limits: PeptideLimits) -> tuple[list[_Row], list[Problem]]:
    """Part the good rows from the problems of the others."""
    good: list[_Row] = []
    problems: list[Problem] = []
    seen: dict[str, str] = {}
    for row in rows:
        faults = list(row.faults) or _sequence_faults(row.sequence, limits)
        if not faults and row.sequence in seen:
            faults = [f"repeats the peptide {row.sequence} of {seen[row.sequence]}; remove one"]
        problems += [Problem(row.place, fault) for fault in faults]
        if not faults:
            seen[row.sequence] = row.place.rpartition(", ")[2]
            good.append(row)
    return good, problems


def _sequence_faults(sequence: str, limits: PeptideLimits) -> list[str]:
    if not sequence:
        return ["has no sequence; fill it in or remove the row"]
    faults = []
    unknown = first_unknown(sequence)
    if unknown is not None:
        position, letter = unknown
        faults.append(
            f"residue {position + 1} of {sequence} is {letter!r}; expected one of {RESIDUES}"
        )
    low, high = limits.min_length, limits.max_length
    if not low <= len(sequence) <= high:
        shown = sequence if len(sequence) <= _SHOWN else f"{sequence[:_SHOWN]}..."
        faults.append(f"{shown} has {len(sequence)} residues; expected {low} to {high}")
    return faults


def _assemble(rows: Sequence[_Row], rejects: tuple[Problem, ...]) -> PeptideTable:
    names = list(dict.fromkeys(name for row in rows for name in row.labels))
    place = {name: number for number, name in enumerate(names)}
    labels = np.full((len(rows), len(names)), UNKNOWN, dtype=np.int8)
    for number, row in enumerate(rows):
        for name, value in row.labels.items():
            labels[number, place[name]] = value
    return PeptideTable(
        sequences=tuple(row.sequence for row in rows),
        labels=labels,
        label_names=tuple(names),
        split=tuple(row.split for row in rows),
        cluster=tuple(row.cluster for row in rows),
        rejects=rejects,
    )
