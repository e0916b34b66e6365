"""Peptide stores: tokens, labels, splits and perhaps structures in memory-mapped arrays.

All residues stand one after another in `tokens.npy`; peptide i is `offsets[i]:offsets[i + 1]`.
`store.json` is written last and holds size and SHA-256 of every other file.
"""

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Int, Int8, UInt8
from pydantic import Field

from foldwright import __version__
from foldwright.data.peptide_structure_cache import StructureCache
from foldwright.data.peptide_structures import PeptideStructures, StoredStructure
from foldwright.data.peptide_table import PeptideTable
from foldwright.runtime.config import Config, parse_config
from foldwright.runtime.errors import InputError, Problem
from foldwright.runtime.files import sha256_file, write_atomic
from foldwright.sequence.residues import decode_sequence, encode_sequence

FORMAT = "foldwright-peptide-store"
VERSION = 1
INFO_NAME = "store.json"
REJECTS_NAME = "rejects.csv"
_ARRAYS = ("tokens", "offsets", "labels", "split", "cluster")
_STRUCTURE_ARRAYS = ("structure_row", "backbone", "atom_exists", "plddt")


class PeptideFile(Config):
    """Size and checksum of one file of the store."""

    bytes: int
    sha256: str


class PeptideStoreInfo(Config):
    """The record in `store.json`."""

    format: str = Field(default=FORMAT, description="kind of store")
    version: int = Field(default=VERSION, description="version of this layout")
    created_by: str = Field(description="program and version")
    source: str = Field(description="where the peptides come from, in words")
    peptides: int = Field(description="number of peptides")
    label_names: tuple[str, ...] = Field(description="labels, in the order of the columns")
    splits: dict[str, int] = Field(description="peptides of each split, in the order of numbers")
    structures: int = Field(description="peptides with a structure")
    files: dict[str, PeptideFile] = Field(description="every other file of the store")


def write_peptide_store(
    table: PeptideTable,
    folder: Path,
    *,
    source: str,
    structures: PeptideStructures | StructureCache | None = None,
) -> PeptideStoreInfo:
    """Write a table as a store, with the structures of those peptides that have one.

    Raises:
        InputError: the folder holds a store already, or cannot be written; every structure that
            cannot be read or has another length than its peptide.
    """
    if (folder / INFO_NAME).exists():
        raise InputError(
            Problem(str(folder), "holds a store already; choose another folder or remove it")
        )
    split_names = list(dict.fromkeys(table.split))
    cluster_names = {name: number for number, name in enumerate(dict.fromkeys(table.cluster))}
    lengths = [len(sequence) for sequence in table.sequences]
    arrays: dict[str, np.ndarray] = {
        "tokens": np.concatenate([encode_sequence(s) for s in table.sequences]).astype(np.uint8),
        "offsets": np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        "labels": table.labels,
        "split": np.array([split_names.index(name) for name in table.split], dtype=np.uint8),
        "cluster": np.array([cluster_names[name] for name in table.cluster], dtype=np.int32),
    }
    if structures is not None:
        arrays |= _structure_arrays(table, structures)
    for name, array in arrays.items():
        write_atomic(folder / f"{name}.npy", _npy_bytes(array))
    write_atomic(folder / REJECTS_NAME, _rejects_text(table))
    info = PeptideStoreInfo(
        created_by=f"foldwright {__version__}",
        source=source,
        peptides=len(table),
        label_names=table.label_names,
        splits={name: table.split.count(name) for name in split_names},
        structures=int((arrays["structure_row"] >= 0).sum()) if structures is not None else 0,
        files=_facts(folder, [*(f"{name}.npy" for name in arrays), REJECTS_NAME]),
    )
    write_atomic(folder / INFO_NAME, json.dumps(info.model_dump(mode="json"), indent=1) + "\n")
    return info


class PeptideStore:
    """A store opened for reading; make it with `PeptideStore.open`. It can be pickled."""

    def __init__(self, path: Path, info: PeptideStoreInfo) -> None:
        self.path = path
        self.info = info
        names = _ARRAYS + (_STRUCTURE_ARRAYS if info.structures else ())
        self._arrays = {name: np.load(path / f"{name}.npy", mmap_mode="r") for name in names}

    @classmethod
    def open(cls, path: Path | str) -> "PeptideStore":
        """Open a store; names and sizes of files are checked, contents are not.

        Raises:
            InputError: no store, another version, missing or truncated files.
        """
        path = Path(path)
        info = _read_info(path)
        problems = []
        for name, facts in info.files.items():
            found = (path / name).stat().st_size if (path / name).is_file() else None
            if found != facts.bytes:
                state = "is missing" if found is None else f"has {found} bytes, not {facts.bytes}"
                problems.append(Problem(str(path / name), f"{state}; prepare the store again"))
        if problems:
            raise InputError(problems)
        return cls(path, info)

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return PeptideStore.open, (self.path,)

    def __len__(self) -> int:
        return self.info.peptides

    @property
    def label_names(self) -> tuple[str, ...]:
        """Labels in the order of the columns of `labels`."""
        return self.info.label_names

    @property
    def lengths(self) -> Int[np.ndarray, " p"]:
        """Number of residues of every peptide."""
        return np.diff(self._arrays["offsets"])

    @property
    def labels(self) -> Int8[np.ndarray, "p l"]:
        """1 active, 0 not, -1 unknown."""
        return self._arrays["labels"]

    @property
    def cluster_index(self) -> Int[np.ndarray, " p"]:
        """Number of the cluster of every peptide."""
        return self._arrays["cluster"]

    def split(self, name: str) -> Int[np.ndarray, " members"]:
        """Return the places of the peptides of a split; none where there is no such split."""
        names = list(self.info.splits)
        number = names.index(name) if name in names else len(names)
        return np.flatnonzero(self._arrays["split"] == number)

    def tokens(self, index: int) -> UInt8[np.ndarray, " n"]:
        """Return the residues of one peptide as numbers 0 to 19."""
        start, end = self._arrays["offsets"][index : index + 2]
        return np.array(self._arrays["tokens"][start:end])

    def sequence(self, index: int) -> str:
        """Return the residues of one peptide as letters."""
        return decode_sequence(self.tokens(index))

    def structure(self, index: int) -> StoredStructure | None:
        """Return the structure of one peptide, or None where it has none."""
        if not self.info.structures:
            return None
        start = int(self._arrays["structure_row"][index])
        if start < 0:
            return None
        rows = slice(start, start + int(self.lengths[index]))
        return StoredStructure(
            backbone=np.array(self._arrays["backbone"][rows]),
            atom_exists=np.array(self._arrays["atom_exists"][rows]),
            plddt=np.array(self._arrays["plddt"][rows]),
        )

    def verify(self) -> None:
        """Read every file and compare its checksum.

        Raises:
            InputError: every file that is not what was written.
        """
        problems = [
            Problem(str(self.path / name), "is damaged: its checksum is not that of store.json")
            for name, facts in self.info.files.items()
            if sha256_file(self.path / name) != facts.sha256
        ]
        if problems:
            raise InputError(problems)


def _structure_arrays(
    table: PeptideTable, structures: PeptideStructures | StructureCache
) -> dict[str, np.ndarray]:
    """Backbones of the peptides that have one, one after another, and where each begins."""
    row = np.full(len(table), -1, dtype=np.int64)
    found: list[StoredStructure] = []
    start = 0
    problems: list[Problem] = []
    for number, sequence in enumerate(table.sequences):
        try:
            structure = structures.get(sequence)
        except InputError as error:
            problems.extend(error.problems)
            continue
        if structure is not None:
            row[number] = start
            start += len(sequence)
            found.append(structure)
    if problems:
        raise InputError(problems)
    if not found:
        raise InputError("none of the structures belongs to a peptide of the table")
    return {
        "structure_row": row,
        "backbone": np.concatenate([one.backbone for one in found]),
        "atom_exists": np.concatenate([one.atom_exists for one in found]),
        "plddt": np.concatenate([one.plddt for one in found]),
    }


def _read_info(folder: Path) -> PeptideStoreInfo:
    path = folder / INFO_NAME
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        message = "is no peptide store; give a folder that `foldwright data prepare-peptides` wrote"
        raise InputError(Problem(str(folder), message)) from error
    except (OSError, ValueError) as error:
        message = f"cannot be read ({error}); prepare the store again"
        raise InputError(Problem(str(path), message)) from error
    found = values.get("format") if isinstance(values, dict) else None
    if found != FORMAT:
        message = f"has the format {found!r}, expected {FORMAT!r}: no store of peptides"
        raise InputError(Problem(str(path), message))
    if values.get("version") != VERSION:
        message = (
            f"a store of version {values.get('version')}, written by {values.get('created_by')}; "
            f"this program reads version {VERSION}: prepare it again"
        )
        raise InputError(Problem(str(folder), message))
    return parse_config(PeptideStoreInfo, values, str(path))


def _npy_bytes(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=False)
    return stream.getvalue()


def _rejects_text(table: PeptideTable) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(("place", "reason"))
    writer.writerows((problem.place, problem.message) for problem in table.rejects)
    return stream.getvalue()


def _facts(folder: Path, names: Sequence[str]) -> dict[str, PeptideFile]:
    return {
        name: PeptideFile(bytes=(folder / name).stat().st_size, sha256=sha256_file(folder / name))
        for name in names
    }
