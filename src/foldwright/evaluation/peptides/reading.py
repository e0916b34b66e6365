"""Sets of peptides from FASTA and CSV files, with what is wrong in them by line."""

import csv
import gzip
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from foldwright.evaluation.peptides.edit_distance import LONGEST
from foldwright.runtime.errors import InputError, Problem
from foldwright.sequence.fasta import read_fasta
from foldwright.sequence.residues import RESIDUES, first_unknown

FASTA_SUFFIXES = (".fasta", ".fa", ".faa")
TABLE_SUFFIXES = (".csv",)
_REQUESTED = re.compile(r"\blength=(\d+)\b")
_NAMES = ("name", "id")
_REQUESTS = ("requested_length",)


@dataclass(frozen=True)
class ScoredPeptide:
    """One peptide of a file; `requested` is the length it was asked to have, if the file says."""

    name: str
    sequence: str
    requested: int | None = None


@dataclass(frozen=True)
class PeptideFileContent:
    """The peptides that can be scored, and a problem for each that cannot."""

    peptides: tuple[ScoredPeptide, ...]
    rejects: tuple[Problem, ...]

    @property
    def valid(self) -> float:
        """Share of peptides of the 20 residues that are no longer than can be scored."""
        return len(self.peptides) / (len(self.peptides) + len(self.rejects))

    @property
    def exact_length(self) -> float | None:
        """Share of exactly the length asked for; None where the file says no lengths."""
        asked = [one for one in self.peptides if one.requested is not None]
        if not asked:
            return None
        return sum(len(one.sequence) == one.requested for one in asked) / len(asked)


def is_peptide_file(path: Path) -> bool:
    """Whether the name is that of a FASTA or CSV file, gzipped or not."""
    return _stem_suffix(path) in FASTA_SUFFIXES + TABLE_SUFFIXES


def read_peptides(path: Path) -> PeptideFileContent:
    """Read a FASTA file, or a CSV file with the column `sequence`; `.gz` is unpacked.

    The length asked for is `length=12` in a FASTA header or the column `requested_length`.

    Raises:
        InputError: the file cannot be read, or none of its peptides can be scored; each is named
            by its line.
    """
    rows = _fasta_rows(path) if _stem_suffix(path) in FASTA_SUFFIXES else _csv_rows(path)
    peptides, rejects = [], []
    for line, peptide in rows:
        fault = _fault(peptide.sequence)
        if fault:
            rejects.append(Problem(f"{path}, line {line}", f"{peptide.name}: {fault}"))
        else:
            peptides.append(peptide)
    if not peptides:
        raise InputError(rejects or Problem(str(path), "holds no peptide"))
    return PeptideFileContent(tuple(peptides), tuple(rejects))


def _stem_suffix(path: Path) -> str:
    name = path.with_suffix("") if path.suffix.lower() == ".gz" else path
    return name.suffix.lower()


def _fault(sequence: str) -> str:
    if not sequence:
        return "has no residues"
    unknown = first_unknown(sequence)
    if unknown is not None:
        return f"residue {unknown[0] + 1} is {unknown[1]!r}; expected one of {RESIDUES}"
    if len(sequence) > LONGEST:
        return f"has {len(sequence)} residues; peptides of up to {LONGEST} are scored"
    return ""


def _fasta_rows(path: Path) -> Iterator[tuple[int, ScoredPeptide]]:
    for record in read_fasta(path):
        found = _REQUESTED.search(record.description)
        requested = int(found.group(1)) if found else None
        yield record.line, ScoredPeptide(record.name, record.sequence, requested)


def _csv_rows(path: Path) -> Iterator[tuple[int, ScoredPeptide]]:
    reader = csv.DictReader(io.StringIO(_read_text(path)))
    header = [name.strip() for name in reader.fieldnames or ()]
    reader.fieldnames = header
    if "sequence" not in header:
        found = ", ".join(header[:8]) or "nothing"
        raise InputError(Problem(str(path), f"has no column sequence; its header is: {found}"))
    name_column = next((name for name in _NAMES if name in header), None)
    request_column = next((name for name in _REQUESTS if name in header), None)
    for row in reader:
        line = reader.line_num
        name = row[name_column] if name_column else f"row {line - 1}"
        requested = (row[request_column] or "").strip() if request_column else ""
        peptide = ScoredPeptide(
            name or f"row {line - 1}",
            (row["sequence"] or "").strip(),
            int(requested) if requested.isdecimal() else None,
        )
        yield line, peptide


def _read_text(path: Path) -> str:
    try:
        content = path.read_bytes()
        return (gzip.decompress(content) if path.suffix == ".gz" else content).decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(Problem(str(path), "is not text; expected a CSV file")) from error
    except (OSError, EOFError) as error:
        raise InputError(Problem(str(path), f"cannot be read: {error}")) from error
