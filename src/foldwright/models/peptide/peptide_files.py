"""The folder of a run of peptides."""

import csv
import io
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from foldwright.runtime.errors import InputError, Problem
from foldwright.runtime.files import write_atomic
from foldwright.runtime.partials import remove_partials
from foldwright.runtime.run_record import begin_run, read_record
from foldwright.sequence.fasta import FastaRecord, write_fasta

FASTA_FILE = "peptides.fasta"
TABLE_FILE = "peptides.csv"
RECORDS_FILE = "peptides.json"
RUN_FILE = "run.json"
DRAFTS_FOLDER = "drafts"
RUN_FORMAT = "foldwright-peptide-run-1"


@dataclass(frozen=True)
class PeptideRecord:
    """What became of one peptide; a failed one has no sequence.

    Attributes:
        seed: seed of the draw that was taken, or of the last one.
        labels: activities it was asked for.
        attempts: draws that were made.
        rejected: how many of them were turned down for which reason.
    """

    name: str
    index: int
    sequence: str
    length: int
    labels: str
    seed: int
    attempts: int
    status: Literal["done", "failed"]
    rejected: dict[str, int] = field(default_factory=dict)
    scores: dict[str, Any] = field(default_factory=dict)

    @property
    def reason(self) -> str:
        """Why it failed, in words."""
        if self.status == "done":
            return ""
        faults = "; ".join(f"{count} gave {fault}" for fault, count in self.rejected.items())
        return f"none of {self.attempts} draws was good: {faults}"


class PeptideFolder:
    """Reads and writes a run's folder; every file appears complete or not at all.

    `run.json` holds the settings and `peptides.fasta`, `.csv` and `.json` the results, the last one
    written last. Until then `drafts/` holds what has been drawn.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def begin(self, settings: Mapping[str, Any]) -> None:
        """Start a run here, or go on with one of equal settings; remove what a kill left over.

        Raises:
            InputError: the folder holds a run with other settings; each is named.
        """
        for folder in (self.path, self.path / DRAFTS_FOLDER):
            remove_partials(folder)
        begin_run(self.path / RUN_FILE, RUN_FORMAT, settings)

    def finished(self) -> list[PeptideRecord]:
        """Records of a run that came to its end, by number."""
        found = read_record(self.path / RECORDS_FILE)
        if found is None:
            return []
        return [PeptideRecord(**record) for record in found["peptides"]]

    def drafts(self) -> dict[tuple[int, int], str | None]:
        """What has been drawn, by number and attempt."""
        drawn: dict[tuple[int, int], str | None] = {}
        for path in sorted((self.path / DRAFTS_FOLDER).glob("[0-9]*.json")):
            found = read_record(path)
            for index, attempt, sequence in (found or {}).get("draws", ()):
                drawn[index, attempt] = sequence
        return drawn

    def write_drafts(self, drawn: Mapping[tuple[int, int], str | None]) -> None:
        """Keep draws that no file holds yet."""
        if not drawn:
            return
        rows = [[*key, sequence] for key, sequence in sorted(drawn.items())]
        index, attempt = min(drawn)
        name = f"{index:07d}-{attempt:03d}.json"
        write_atomic(self.path / DRAFTS_FOLDER / name, json.dumps({"draws": rows}) + "\n")

    def finish(self, records: Sequence[PeptideRecord]) -> None:
        """Write all results, then remove the drafts."""
        done = [record for record in records if record.status == "done"]
        write_fasta(
            [FastaRecord(one.name, one.sequence, _description(one)) for one in done],
            self.path / FASTA_FILE,
        )
        write_atomic(self.path / TABLE_FILE, _table(records))
        content = {"peptides": [asdict(record) for record in records]}
        write_atomic(self.path / RECORDS_FILE, json.dumps(content, indent=1) + "\n")
        drafts = self.path / DRAFTS_FOLDER
        if drafts.is_dir():
            shutil.rmtree(drafts)


def _description(record: PeptideRecord) -> str:
    return f"length={record.length}" + (f" labels={record.labels}" if record.labels else "")


def _table(records: Sequence[PeptideRecord]) -> str:
    rows = [_flat(record) for record in records]
    columns = list(dict.fromkeys(column for row in rows for column in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _flat(record: PeptideRecord) -> dict[str, Any]:
    row = {
        "name": record.name,
        "sequence": record.sequence,
        "length": record.length,
        "labels": record.labels,
        "attempts": record.attempts,
        "status": record.status,
        "reason": record.reason,
    }
    return {**row, **record.scores}


def require_whole_run(path: Path, num: int, records: Sequence[PeptideRecord]) -> None:
    """Refuse to shrink a finished run.

    Raises:
        InputError: the run holds more peptides than asked for now.
    """
    if len(records) > num:
        message = f"holds {len(records)} peptides, --num asks for {num}; use another --out"
        raise InputError(Problem(str(path), message))
