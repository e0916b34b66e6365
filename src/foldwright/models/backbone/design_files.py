"""The folder of a design run: one complete set of files per finished design."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from foldwright.runtime.files import write_atomic
from foldwright.runtime.partials import remove_partials
from foldwright.runtime.run_record import begin_run, read_record
from foldwright.structure.io import write_structure
from foldwright.structure.records import Structure

RUN_FILE = "run.json"
SCORES_FILE = "scores.csv"
ITEMS_FOLDER = "items"
FORMAT = "foldwright-design-1"
STRUCTURE_SUFFIXES = (".cif", ".pdb")


@dataclass(frozen=True)
class DesignRecord:
    """What became of one design; `scores` is empty for a failed one."""

    name: str
    index: int
    length: int
    seed: int
    status: Literal["done", "failed"]
    reason: str = ""
    scores: dict[str, Any] = field(default_factory=dict)


class DesignFolder:
    """Reads and writes a run's folder; every file appears complete or not at all.

    `run.json` holds the settings, `design_*.cif` and `.pdb` the structures, `items/*.json` one
    record each, written last, so that a design with a record is finished, and `scores.csv` all
    records of the run.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def begin(self, settings: Mapping[str, Any]) -> None:
        """Start a run here, or go on with one of equal settings; remove what a kill left over.

        Raises:
            InputError: the folder holds a run with other settings; each is named.
        """
        for folder in (self.path, self.path / ITEMS_FOLDER):
            remove_partials(folder)
        begin_run(self.path / RUN_FILE, FORMAT, settings)

    def finished(self, name: str) -> DesignRecord | None:
        """The record of a design that is complete, structures included."""
        found = read_record(self._item_path(name))
        structures = [self.path / f"{name}{suffix}" for suffix in STRUCTURE_SUFFIXES]
        if found is None or not all(path.is_file() for path in structures):
            return None
        record = DesignRecord(**found)
        return record if record.status == "done" else None

    def write_structures(self, structure: Structure) -> None:
        """Write mmCIF and PDB of one design, named after the structure."""
        for suffix in STRUCTURE_SUFFIXES:
            write_structure(structure, self.path / f"{structure.name}{suffix}")

    def write_record(self, record: DesignRecord) -> None:
        """Write what became of one design; for a finished one after its structures."""
        write_atomic(self._item_path(record.name), json.dumps(asdict(record), indent=2) + "\n")

    def write_scores(self, records: Sequence[DesignRecord]) -> None:
        """Write the table of all records, in the order of their numbers."""
        rows = [_flat(record) for record in sorted(records, key=lambda record: record.index)]
        columns = list(dict.fromkeys(column for row in rows for column in row))
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_atomic(self.path / SCORES_FILE, text.getvalue())

    def _item_path(self, name: str) -> Path:
        return self.path / ITEMS_FOLDER / f"{name}.json"


def _flat(record: DesignRecord) -> dict[str, Any]:
    row = asdict(record)
    return {**{key: row[key] for key in row if key != "scores"}, **record.scores}
