"""Text of mmCIF tables, quoted so that every reader gets the same values."""

import re
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Shaped

Columns = Mapping[str, Sequence[str] | Shaped[np.ndarray, " rows"]]

NOT_APPLICABLE = "."
_NEEDS_QUOTES = re.compile(
    r"^[_#$'\"\[\];]|\s|^(data_|save_|loop_|stop_|global_)|^[.?]$", re.IGNORECASE
)


def format_block(name: str, tables: Mapping[str, Columns]) -> str:
    """Format a data block; an empty string in a column becomes `.`, the value for none."""
    parts = [f"data_{name}\n#\n"]
    parts += [_format_table(category, columns) for category, columns in tables.items()]
    return "".join(parts)


def _format_table(category: str, columns: Columns) -> str:
    cells = {key: _quote_column(np.asarray(column, dtype=str)) for key, column in columns.items()}
    if all(len(column) == 1 for column in cells.values()):
        width = max(map(len, cells)) + len(category) + 4
        rows = [f"{f'_{category}.{key}':<{width}}{column[0]}" for key, column in cells.items()]
    else:
        padded = [_pad(column) for column in cells.values()]
        rows = ["loop_", *(f"_{category}.{key}" for key in cells)]
        rows += [" ".join(row).rstrip() for row in zip(*padded, strict=True)]
    return "\n".join(rows) + "\n#\n"


def _pad(column: Shaped[np.ndarray, " rows"]) -> list[str]:
    if any("\n" in value for value in column.tolist()):
        return column.tolist()
    return np.char.ljust(column, column.dtype.itemsize // 4).tolist()


def _quote_column(column: Shaped[np.ndarray, " rows"]) -> Shaped[np.ndarray, " rows"]:
    values, place = np.unique(column, return_inverse=True)
    return np.array([_quote(value) for value in values.tolist()])[place]


def _quote(value: str) -> str:
    if value == "":
        return NOT_APPLICABLE
    if not _NEEDS_QUOTES.search(value):
        return value
    if "\n" not in value:
        for quote in "'\"":
            if quote not in value:
                return f"{quote}{value}{quote}"
    return f"\n;{value}\n;"
