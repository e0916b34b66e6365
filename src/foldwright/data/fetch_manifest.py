"""The tables beside fetched files: what came and what did not, and where domains lie.

The manifest grows by one line per file while a fetch runs and is rewritten in order at its end, so
a killed run leaves at most one torn line, which is ignored.
"""

import csv
import io
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Literal, get_args

from foldwright.data.domain_lists import ListedDomain, format_spans
from foldwright.runtime.errors import InputError, Problem
from foldwright.runtime.files import write_atomic

FetchStatus = Literal["fetched", "present", "failed"]
MANIFEST_NAME = "manifest.csv"
DOMAINS_NAME = "domains.csv"
_DOMAIN_COLUMNS = ("name", "pdb_id", "file", "chains", "ranges", "classification")


@dataclass(frozen=True)
class FetchRecord:
    """What became of one target; `bytes` is 0 and `sha256` empty where it failed."""

    id: str
    file: str
    bytes: int
    sha256: str
    status: FetchStatus
    reason: str = ""


_STATUSES: dict[object, FetchStatus] = {status: status for status in get_args(FetchStatus)}
_COLUMNS = tuple(field.name for field in fields(FetchRecord))


def read_manifest(folder: Path) -> dict[str, FetchRecord]:
    """Read the newest record of each file; a missing manifest is empty, torn lines do not count."""
    path = folder / MANIFEST_NAME
    if not path.is_file():
        return {}
    records: dict[str, FetchRecord] = {}
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        for row in csv.DictReader(file):
            record = _record_of(row)
            if record is not None:
                records[record.file] = record
    return records


def _record_of(row: Mapping[str | None, object]) -> FetchRecord | None:
    values = {name: row.get(name) for name in _COLUMNS}
    status, size = _STATUSES.get(values["status"]), str(values["bytes"])
    whole = None not in values.values() and None not in row
    if not whole or status is None or not size.isdigit():
        return None
    texts = {name: str(value) for name, value in values.items() if name not in ("bytes", "status")}
    return FetchRecord(bytes=int(size), status=status, **texts)


def write_manifest(folder: Path, records: Iterable[FetchRecord]) -> None:
    """Replace the manifest, sorted by file name."""
    rows = [asdict(record) for record in sorted(records, key=lambda record: record.file)]
    write_atomic(folder / MANIFEST_NAME, _csv_text(_COLUMNS, rows))


def append_to_manifest(folder: Path, record: FetchRecord) -> None:
    """Add one line to a manifest that `write_manifest` began."""
    line = _csv_text(_COLUMNS, [asdict(record)]).split("\n", 1)[1]
    with (folder / MANIFEST_NAME).open("a", newline="", encoding="utf-8") as file:
        file.write(line)


def _csv_text(columns: Iterable[str], rows: Iterable[Mapping[str, object]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(columns), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def read_checksums(path: Path) -> dict[str, str]:
    """Read SHA-256 sums by file name, in the form that `sha256sum` writes; folders are ignored.

    Raises:
        InputError: the file cannot be read, or lines are not of that form.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot read the checksums: {error}.") from error
    sums: dict[str, str] = {}
    problems: list[Problem] = []
    for number, line in enumerate(lines, 1):
        match = re.fullmatch(r"([0-9a-fA-F]{64})\s+\*?(\S.*)", line.strip())
        if match is not None:
            sums[match[2].rsplit("/", 1)[-1]] = match[1].lower()
        elif line.strip() and not line.lstrip().startswith("#"):
            message = f"{line.strip()[:60]!r}: expected 64 hexadecimal digits and a file name."
            problems.append(Problem(f"{path}:{number}", message))
    if problems:
        raise InputError(problems)
    return sums


def write_domain_table(
    folder: Path, domains: Iterable[ListedDomain], files: Mapping[str, str]
) -> None:
    """Write `domains.csv`; rows of earlier runs for other domains stay.

    `files` maps PDB id to file name; the file of an entry that is not there stays empty, and so
    do the ranges of a domain whose list did not give them.
    """
    path = folder / DOMAINS_NAME
    rows: dict[str, Mapping[str, object]] = {}
    if path.is_file():
        with path.open(newline="", encoding="utf-8") as file:
            rows = {row["name"]: row for row in csv.DictReader(file)}
    for domain in domains:
        spans = domain.spans or ()
        rows[domain.name] = {
            "name": domain.name,
            "pdb_id": domain.pdb_id,
            "file": files.get(domain.pdb_id, ""),
            "chains": " ".join(dict.fromkeys(span.chain for span in spans)),
            "ranges": format_spans(spans),
            "classification": domain.classification,
        }
    ordered = [rows[name] for name in sorted(rows)]
    write_atomic(path, _csv_text(_DOMAIN_COLUMNS, ordered))
