"""Import of data sets made for Genie: a text file of coordinates per chain."""

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from foldwright.data.chain_shape import measure_shape
from foldwright.data.clusters import SplitSettings, split_of_cluster
from foldwright.data.filters import Rejection
from foldwright.data.store import NewChain, StoreWriter
from foldwright.runtime.errors import InputError, Problem
from foldwright.runtime.progress import ProgressFactory, silent

_SUFFIXES = (".npy", ".csv", ".txt")
_NPY_MAGIC = b"\x93NUMPY"
# The N-CA bond is 1.46 Å; files of CA alone would show 3.8 Å or more here.
_SHORTEST_BOND, _LONGEST_BOND = 1.2, 1.8


@dataclass(frozen=True)
class ImportReport:
    """What `import_genie_data` did; `rejects` counts files and names by rule."""

    files: int
    chains: int
    residues: int
    splits: dict[str, int]
    rejects: dict[str, int]


def import_genie_data(
    folder: Path,
    out: Path,
    *,
    splits: SplitSettings,
    names: Path | None = None,
    progress: ProgressFactory = silent,
) -> ImportReport:
    """Write a store from files of three comma-separated columns, in Å, N, CA, C of each residue.

    Such files are called `.npy` though they are text; real `.npy` arrays of the same shape are
    read too. The old files hold no sequence (`X`) and no numbering (from 1). Every chain is a
    cluster of its own: the old sets were made non-redundant beforehand.

    Args:
        folder: searched with its subfolders for `.npy`, `.csv` and `.txt`.
        names: list of one name per line, with or without suffix; only these are taken.

    Raises:
        InputError: no such folder or list, or nothing could be imported.
        FoldwrightError: the disk is full.
    """
    files = _coordinate_files(folder, names)
    chosen = list(files) if names is None else read_names(names)
    with StoreWriter(out, source=f"Genie data set {folder.name or folder}") as writer:
        with progress("import", len(chosen)) as bar:
            for name in chosen:
                _import_one(name, files.get(name), folder, writer, splits)
                bar.advance(chains=str(writer.num_chains))
    return ImportReport(
        files=len(chosen),
        chains=writer.num_chains,
        residues=writer.num_residues,
        splits=dict(writer.split_counts),
        rejects=dict(writer.reject_counts),
    )


def read_names(path: Path) -> list[str]:
    """Read a name list: one per line; folders and suffixes of coordinate files are dropped.

    Raises:
        InputError: the file cannot be read or holds no name.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(Problem(str(path), f"cannot be read as text: {error}")) from error
    names = dict.fromkeys(_bare_name(line.strip()) for line in lines if line.strip())
    if not names:
        raise InputError(Problem(str(path), "holds no names; expected one per line"))
    return list(names)


def read_coordinates(path: Path) -> Float32[np.ndarray, "n 4 3"] | Rejection:
    """Read N, CA, C of every residue; O is NaN. Or say why the file cannot be used."""
    try:
        rows = _read_rows(path)
    except (OSError, ValueError) as error:
        return Rejection("unreadable", " ".join(str(error).split()))
    if rows.ndim != 2 or rows.shape[1] != 3 or len(rows) % 3 or not len(rows):
        shape = " x ".join(map(str, rows.shape))
        reason = f"holds {shape} numbers; expected 3 columns and 3 rows (N, CA, C) per residue"
        return Rejection("wrong-shape", reason)
    backbone = np.full((len(rows) // 3, 4, 3), np.nan, dtype=np.float32)
    backbone[:, :3] = rows.reshape(-1, 3, 3)
    missing = ~np.isfinite(backbone[:, 1]).all(axis=-1)
    if missing.any():
        return Rejection("missing-ca", f"CA of {missing.sum()} residues is not a finite number")
    backbone[~np.isfinite(backbone).all(axis=-1)] = np.nan
    bonds = np.linalg.norm(backbone[:, 0] - backbone[:, 1], axis=-1)
    bonds = bonds[np.isfinite(bonds)]
    if len(bonds) and not _SHORTEST_BOND < np.median(bonds) < _LONGEST_BOND:
        reason = f"the median N-CA distance is {np.median(bonds):.2f}, expected 1.46 Å: "
        return Rejection("not-backbone", reason + "rows are not N, CA, C in Å")
    return backbone


def _read_rows(path: Path) -> np.ndarray:
    with path.open("rb") as file:
        is_binary = file.read(len(_NPY_MAGIC)) == _NPY_MAGIC
    if not is_binary:
        text = path.read_text(encoding="utf-8")
        if not text.strip():
            raise ValueError("the file is empty")
        return np.loadtxt(io.StringIO(text), delimiter=",", comments=None, ndmin=2)
    rows = np.load(path, allow_pickle=False)
    if not np.issubdtype(rows.dtype, np.number):
        raise ValueError(f"holds {rows.dtype}, expected numbers")
    return rows


def _coordinate_files(folder: Path, names: Path | None) -> dict[str, Path]:
    """Name of each chain to its file, sorted; the name list itself is not one of them."""
    if not folder.is_dir():
        raise InputError(Problem(str(folder), "is no folder; give one with coordinate files"))
    listed = None if names is None else names.resolve()
    files: dict[str, Path] = {}
    problems = []
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() not in _SUFFIXES or not path.is_file() or path.resolve() == listed:
            continue
        other = files.setdefault(_bare_name(path.name), path)
        if other != path:
            problems.append(Problem(str(path), f"has the name of {other}; keep one of them"))
    if problems:
        raise InputError(problems)
    if not files:
        message = f"holds no coordinate files ({', '.join(_SUFFIXES)})"
        raise InputError(Problem(str(folder), message))
    return files


def _bare_name(name: str) -> str:
    path = Path(name)
    return path.stem if path.suffix.lower() in _SUFFIXES else path.name


def _import_one(
    name: str, path: Path | None, folder: Path, writer: StoreWriter, splits: SplitSettings
) -> None:
    if path is None:
        writer.reject("", name, "no-file", "is in the name list, but has no coordinate file")
        return
    file = path.relative_to(folder).as_posix()
    backbone = read_coordinates(path)
    if isinstance(backbone, Rejection):
        writer.reject(file, name, backbone.rule, backbone.reason)
        return
    writer.add(
        NewChain(
            name=name,
            backbone=backbone,
            sequence="X" * len(backbone),
            residue_numbers=np.arange(1, len(backbone) + 1),
            split=split_of_cluster(name, splits),
            cluster=name,
            shape=measure_shape(backbone[:, 1]),
            origin=file,
        )
    )
