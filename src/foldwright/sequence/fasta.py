"""FASTA files, plain or gzipped."""

import gzip
import string
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from foldwright.runtime.errors import InputError, Problem
from foldwright.runtime.files import write_atomic

_LETTERS = frozenset(string.ascii_letters)
_LINE_WIDTH = 80


@dataclass(frozen=True)
class FastaRecord:
    """One sequence.

    Attributes:
        name: the first word after `>`.
        sequence: letters as they stand in the file, lower case included.
        description: the rest of the header line.
        line: number of the header line in the file it was read from; 0 where there is none.
    """

    name: str
    sequence: str
    description: str = ""
    line: int = field(default=0, compare=False)


def read_fasta(path: Path | str) -> list[FastaRecord]:
    """Read all records of a file; a suffix `.gz` is unpacked.

    Blank lines are skipped. Which letters are residues is for the reader of the records to say.

    Raises:
        InputError: the file cannot be read or has no record; or, all together by line: text before
            the first header, a header without a name, a record without a sequence, a character
            that is no letter.
    """
    path = Path(path)
    records: list[FastaRecord] = []
    problems: list[Problem] = []
    header: tuple[int, str] | None = None
    parts: list[str] = []
    for number, line in enumerate(_read_lines(path), start=1):
        if line.startswith(">"):
            _close(path, header, parts, records, problems)
            header, parts = (number, line[1:].strip()), []
        elif line.strip() and header is None:
            message = "stands before the first header; a record begins with a line '>name'"
            problems.append(Problem(f"{path}, line {number}", message))
        else:
            parts.append(_checked_letters(path, number, line, problems))
    _close(path, header, parts, records, problems)
    if not records and not problems:
        problems.append(Problem(str(path), "holds no sequence; expected lines '>name' and letters"))
    if problems:
        raise InputError(problems)
    return records


def write_fasta(records: Iterable[FastaRecord], path: Path | str) -> None:
    """Write records, 80 letters to a line, all at once; a suffix `.gz` is packed.

    Raises:
        InputError: the file cannot be written.
    """
    path = Path(path)
    text = "".join(_format(record) for record in records).encode()
    # no time in the header of gzip: equal records give equal files
    write_atomic(path, gzip.compress(text, mtime=0) if path.suffix == ".gz" else text)


def _format(record: FastaRecord) -> str:
    header = f"{record.name} {record.description}".strip()
    letters = record.sequence
    lines = [letters[i : i + _LINE_WIDTH] for i in range(0, len(letters), _LINE_WIDTH)]
    return "\n".join([f">{header}", *lines, ""])


def _read_lines(path: Path) -> list[str]:
    try:
        content = path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
        return content.decode("utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise InputError(Problem(str(path), "is not text; expected a FASTA file")) from error
    except (OSError, EOFError) as error:
        raise InputError(Problem(str(path), f"cannot be read: {error}")) from error


def _checked_letters(path: Path, number: int, line: str, problems: list[Problem]) -> str:
    letters = line.strip()
    wrong = next((character for character in letters if character not in _LETTERS), None)
    if wrong is not None:
        message = f"found {wrong!r} in a sequence; expected letters only"
        problems.append(Problem(f"{path}, line {number}", message))
    return letters


def _close(
    path: Path,
    header: tuple[int, str] | None,
    parts: Sequence[str],
    records: list[FastaRecord],
    problems: list[Problem],
) -> None:
    """Add the record that has been read, or say what it lacks."""
    if header is None:
        return
    number, text = header
    name, _, description = text.partition(" ")
    sequence = "".join(parts)
    place = f"{path}, line {number}"
    if not name:
        problems.append(Problem(place, "is a header without a name; write '>name'"))
    if not sequence:
        problems.append(Problem(place, f"record {name or '?'} has no sequence; add or remove it"))
    if name and sequence:
        records.append(FastaRecord(name, sequence, description.strip(), number))
