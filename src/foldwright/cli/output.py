"""Results of a command: a table for people or JSON for programs, on stdout."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from foldwright.cli.console import results_console

Record = Mapping[str, Any]


def emit(result: Record | Sequence[Record], as_json: bool, title: str | None = None) -> None:
    """Print one record, or rows with the same keys, as a table or as JSON.

    A record becomes one line per key, rows become one line each. Lists of records inside a record
    become tables of their own. JSON is strict: NaN and infinities are null; paths are text.

    Args:
        result: what to print; values are numbers, text, paths, None, and lists or mappings of them.
        as_json: print JSON and nothing else.
        title: heading of the table; JSON has none.
    """
    if as_json:
        plain = _plain(result)
        print(json.dumps(plain, indent=2, allow_nan=False, ensure_ascii=False))
    elif isinstance(result, Mapping):
        _print_record(result, title)
    else:
        _print_rows(result, title)


def _print_record(record: Record, title: str | None) -> None:
    table = Table(title=title, box=None, show_header=False, title_justify="left")
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    inner = {}
    for key, value in record.items():
        if _is_rows(value):
            inner[key] = value
        else:
            table.add_row(Text(key.replace("_", " ")), Text(_shown(value)))
    results_console().print(table)
    for key, rows in inner.items():
        _print_rows(rows, key.replace("_", " "))


def _print_rows(rows: Sequence[Record], title: str | None) -> None:
    table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left")
    keys = list(dict.fromkeys(key for row in rows for key in row))
    for key in keys:
        numbers = all(isinstance(row.get(key), int | float) for row in rows)
        heading = Text(key.replace("_", " "))
        table.add_column(heading, justify="right" if numbers else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(_shown(row.get(key))) for key in keys))
    results_console().print(table)


def _is_rows(value: Any) -> bool:
    return isinstance(value, list | tuple) and bool(value) and isinstance(value[0], Mapping)


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_shown(inner)}" for key, inner in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_shown(inner) for inner in value) or "none"
    return str(value)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, PurePath) else value
