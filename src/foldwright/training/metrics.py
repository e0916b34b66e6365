"""What a run measures: means over the steps between two lines, written as JSON lines and CSV."""

import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from foldwright.runtime.errors import InputError, Problem
from foldwright.runtime.files import write_atomic

Row = dict[str, float | int | str | None]


class Window:
    """Means of named numbers over the steps since the last line of metrics."""

    def __init__(self, state: Mapping[str, Any] | None = None) -> None:
        values = state or {"sums": {}, "counts": {}}
        self._sums: dict[str, float] = dict(values["sums"])
        self._counts: dict[str, int] = dict(values["counts"])

    def add(self, values: Mapping[str, float]) -> None:
        """Take in the numbers of one step; a number may be missing in some steps."""
        for name, value in values.items():
            self._sums[name] = self._sums.get(name, 0.0) + value
            self._counts[name] = self._counts.get(name, 0) + 1

    def mean(self, name: str) -> float:
        """Return the mean of one number so far; 0 where there was none."""
        return self._sums.get(name, 0.0) / self._counts.get(name, 1)

    def take(self) -> dict[str, float]:
        """Return the means and begin anew."""
        means = {name: total / self._counts[name] for name, total in self._sums.items()}
        self._sums, self._counts = {}, {}
        return means

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint keeps, so that a resumed run writes the same line."""
        return {"sums": dict(self._sums), "counts": dict(self._counts)}


class MetricsFiles:
    """`metrics.jsonl`, the record, and `metrics.csv`, the same as a table.

    Lines after `resume_step` come from work that was lost, and are dropped. Every line is handed
    to the system at once.
    """

    def __init__(self, out_dir: Path, resume_step: int) -> None:
        self._jsonl = out_dir / "metrics.jsonl"
        self._csv = out_dir / "metrics.csv"
        rows = [row for row in self._read() if row["step"] <= resume_step]
        write_atomic(self._jsonl, "".join(json.dumps(row) + "\n" for row in rows))
        self._columns = list(dict.fromkeys(key for row in rows for key in row))
        self._rewrite_csv(rows)

    def write(self, row: Row) -> None:
        """Add a line; it must hold `step`."""
        with self._jsonl.open("a", encoding="utf-8") as handle:
            handle.write(json.dumps(row, allow_nan=False) + "\n")
        new = [key for key in row if key not in self._columns]
        if new:
            self._columns += new
            self._rewrite_csv(self._read())
        else:
            with self._csv.open("a", encoding="utf-8", newline="") as handle:
                handle.write(_csv_lines(self._columns, [row], header=False))

    def _read(self) -> list[dict[str, Any]]:
        if not self._jsonl.exists():
            return []
        lines = self._jsonl.read_text(encoding="utf-8").splitlines()
        rows = []
        for number, line in enumerate(lines, start=1):
            try:
                rows.append(json.loads(line))
            except ValueError as error:
                if number == len(lines):  # a killed run may leave half a line at the end
                    break
                problem = Problem(f"{self._jsonl}, line {number}", "is not JSON; repair or remove")
                raise InputError(problem) from error
        return rows

    def _rewrite_csv(self, rows: list[dict[str, Any]]) -> None:
        write_atomic(self._csv, _csv_lines(self._columns, rows, header=bool(self._columns)))


def _csv_lines(columns: list[str], rows: list[Any], *, header: bool) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    if header:
        writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
