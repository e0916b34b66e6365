"""What the files of a chain store are: names, types, and the record in `store.json`.

All residues of all chains stand one after another in a few `.npy` arrays; chain i is the rows
`offsets[i]:offsets[i + 1]`. Arrays per chain are columns of the same length. `store.json` is
written last and holds the size and the SHA-256 of every other file.
"""

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO

import numpy as np

from foldwright.runtime.config import Config, parse_config
from foldwright.runtime.errors import InputError, Problem

FORMAT = "foldwright-chain-store"
VERSION = 1
INFO_NAME = "store.json"
INDEX_NAME = "index.csv"
REJECTS_NAME = "rejects.csv"
REJECT_COLUMNS = ("file", "chain", "rule", "reason")
SPLITS = ("train", "val", "test")
"""Names of the splits; the column `split` holds their positions here."""

RESIDUE_ARRAYS: Mapping[str, tuple[str, tuple[int, ...]]] = MappingProxyType(
    {
        "ca": ("<f4", (3,)),
        "backbone": ("<f4", (4, 3)),
        "sequence": ("|u1", ()),
        "residue_number": ("<i4", ()),
    }
)
"""Arrays with a row per residue: type and shape of a row. `backbone` may be absent."""

SHAPE_COLUMNS = ("helix", "strand", "coil", "rg")
CHAIN_COLUMNS: Mapping[str, str] = MappingProxyType(
    {
        "length": "<i4",
        "split": "|u1",
        "cluster_index": "<i4",
        "resolution": "<f4",
    }
    | dict.fromkeys(SHAPE_COLUMNS, "<f4")
)
"""Arrays with one number per chain; NaN in `resolution` is unknown."""

_HEADER_BYTES = 128


class FileFacts(Config):
    """Size and checksum of one file of the store."""

    bytes: int
    sha256: str


class StoreInfo(Config):
    """The record in `store.json`.

    Attributes:
        created_by: program and version that wrote the store.
        source: where the chains come from, in words.
        chains: number of chains.
        residues: number of residues.
        clusters: number of clusters.
        splits: number of chains of each split.
        files: every other file that belongs to the store, by name.
    """

    format: str
    version: int
    created_by: str
    source: str
    chains: int
    residues: int
    clusters: int
    splits: dict[str, int]
    files: dict[str, FileFacts]


def read_info(folder: Path) -> StoreInfo:
    """Read `store.json` and check format and version before anything else.

    Raises:
        InputError: there is no store, or it is of another format or version.
    """
    path = folder / INFO_NAME
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise _no_store(folder) from error
    except (OSError, ValueError) as error:
        message = f"cannot be read ({error}); prepare the store again"
        raise InputError(Problem(str(path), message)) from error
    found = values.get("format") if isinstance(values, dict) else None
    if found != FORMAT:
        raise InputError(
            Problem(str(path), f"got the format {found!r}, expected {FORMAT!r}; not a store")
        )
    if values.get("version") != VERSION:
        raise InputError(
            Problem(
                str(folder),
                f"a store of version {values.get('version')}, written by "
                f"{values.get('created_by')}; this program reads version {VERSION}: prepare the "
                "store again with this program, or use the one that wrote it",
            )
        )
    return parse_config(StoreInfo, values, str(path))


def _no_store(folder: Path) -> InputError:
    if not folder.exists():
        message = "does not exist; give a folder that `foldwright data prepare` wrote"
    else:
        message = f"holds no {INFO_NAME}: not a store; make one with `foldwright data prepare`"
    return InputError(Problem(str(folder), message))


class NpyStream:
    """A `.npy` file that grows by rows; the number of rows is put into its header at the end."""

    def __init__(self, path: Path, dtype: str, row_shape: tuple[int, ...]) -> None:
        self.num_rows = 0
        self._dtype = np.dtype(dtype)
        self._row_shape = row_shape
        self._file: BinaryIO = path.open("xb")
        self._write_header()

    def append(self, rows: np.ndarray) -> None:
        """Write rows at the end; they are converted to the type of the file."""
        assert rows.shape[1:] == self._row_shape
        self._file.write(np.ascontiguousarray(rows, dtype=self._dtype).data)
        self.num_rows += len(rows)

    def finish(self) -> None:
        """Write the final header and close."""
        self._file.seek(0)
        self._write_header()
        self._file.close()

    def close(self) -> None:
        """Close the file as it is."""
        self._file.close()

    def _write_header(self) -> None:
        header = {
            "descr": self._dtype.str,
            "fortran_order": False,
            "shape": (self.num_rows, *self._row_shape),
        }
        start = self._file.tell()
        np.lib.format.write_array_header_1_0(self._file, header)
        # numpy leaves room for the number of rows to grow, so the header can be written twice.
        assert self._file.tell() - start == _HEADER_BYTES


class CsvTable:
    """A table of text that grows by rows."""

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self._file = path.open("x", newline="", encoding="utf-8")
        self._rows = csv.writer(self._file, lineterminator="\n")
        self.append(columns)

    def append(self, row: Sequence[object]) -> None:
        """Write one row at the end."""
        self._rows.writerow(row)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


@dataclass(frozen=True)
class NpyLayout:
    """What the header of a `.npy` file says, and where its numbers begin."""

    dtype: np.dtype
    shape: tuple[int, ...]
    offset: int


def read_layout(file: BinaryIO, place: str) -> NpyLayout:
    """Read the header of an open `.npy` file.

    Raises:
        InputError: it is no such file.
    """
    try:
        version = np.lib.format.read_magic(file)
        if version != (1, 0):
            raise ValueError(f".npy version {version}")
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    except ValueError as error:
        message = f"is no .npy array of a store ({error}); prepare the store again"
        raise InputError(Problem(place, message)) from error
    return NpyLayout(dtype, shape, file.tell())


def expected_arrays(info: StoreInfo) -> dict[str, tuple[str, tuple[int, ...] | None]]:
    """Return type and shape of every array of a store; None for a length that is not recorded."""
    arrays: dict[str, tuple[str, tuple[int, ...] | None]] = {
        name: (dtype, (info.residues, *row)) for name, (dtype, row) in RESIDUE_ARRAYS.items()
    }
    if array_file("backbone") not in info.files:
        del arrays["backbone"]
    arrays |= {name: (dtype, (info.chains,)) for name, dtype in CHAIN_COLUMNS.items()}
    arrays["offsets"] = ("<i8", (info.chains + 1,))
    arrays["name_offsets"] = ("<i8", (info.chains + 1,))
    arrays["name_bytes"] = ("|u1", None)
    return arrays


def array_file(name: str) -> str:
    """Return the file name of an array."""
    return f"{name}.npy"
