"""The folder of a design run: one complete set of files per finished design."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from foldwright.runtime.errors import InputError, Problem
from foldwright.runtime.files import write_atomic
from foldwright.runtime.partials import remove_partials
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
        found = self._read_json(self.path / RUN_FILE)
        if found is None:
            text = json.dumps({"format": FORMAT, "settings": settings}, indent=2)
            write_atomic(self.path / RUN_FILE, text + "\n")
            return
        for folder in (self.path, self.path / ITEMS_FOLDER):
            remove_partials(folder)
        if found.get("format") != FORMAT:
            message = (
                f"is of format {found.get('format')!r}, expected {FORMAT!r}; use another --out"
            )
            raise InputError(Problem(str(self.path / RUN_FILE), message))
        self._require_equal(found["settings"], settings)

    def finished(self, name: str) -> DesignRecord | None:
        """The record of a design that is complete, structures included."""
        found = self._read_json(self._item_path(name))
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

    def _require_equal(self, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
        # Through JSON, so that tuples and lists compare as what the file can hold.
        new = json.loads(json.dumps(new))
        changed = [key for key in {**old, **new} if old.get(key) != new.get(key)]
        if changed:
            place = str(self.path / RUN_FILE)
            raise InputError(
                [
                    Problem(
                        place,
                        f"this run was started with {key} {old.get(key)!r}, now it is "
                        f"{new.get(key)!r}; repeat the old value or use another --out",
                    )
                    for key in changed
                ]
            )

    def _item_path(self, name: str) -> Path:
        return self.path / ITEMS_FOLDER / f"{name}.json"

    def _read_json(self, path: Path) -> dict[str, Any] | None:
        if not path.is_file():
            return None
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            message = f"is damaged ({error}); delete it to make it again"
            raise InputError(Problem(str(path), message)) from error
        if not isinstance(content, dict):
            raise InputError(Problem(str(path), "is damaged; delete it to make it again"))
        return content


def _flat(record: DesignRecord) -> dict[str, Any]:
    row = asdict(record)
    return {**{key: row[key] for key in row if key != "scores"}, **record.scores}
