"""Predicted structures of peptides by sequence: backbone atoms and confidence."""

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float32

from foldwright.runtime.errors import InputError, Problem
from foldwright.sequence.residues import first_unknown

_COORDINATES = "coords_centiangstrom"
_NEEDED = ("sequence", "offset", _COORDINATES, "atom_mask", "plddt_ca")
_BACKBONE_ATOMS = 4


@dataclass(frozen=True, eq=False)
class StoredStructure:
    """One structure: N, CA, C, O in Å, which atoms exist, pLDDT of CA from 0 to 100."""

    backbone: Float32[np.ndarray, "n 4 3"]
    atom_exists: Bool[np.ndarray, "n 4"]
    plddt: Float32[np.ndarray, " n"]


class PeptideStructures:
    """Structures by sequence, read from one file."""

    def __init__(self, by_sequence: Mapping[str, StoredStructure]) -> None:
        self._by_sequence = dict(by_sequence)

    def __len__(self) -> int:
        return len(self._by_sequence)

    def get(self, sequence: str) -> StoredStructure | None:
        """Return the structure of a sequence, or None."""
        return self._by_sequence.get(sequence)

    @classmethod
    def read(cls, path: Path | str) -> "PeptideStructures":
        """Read an `.npz` of sequences, coordinates and confidences.

        Arrays: `sequence`, `offset`, `coords_centiangstrom`, `atom_mask`, `plddt_ca`.
        Residues stand one after another; structure i is `offset[i]:offset[i + 1]`. Coordinates are
        int16 hundredths of Å, atoms in the order N CA C O first.

        Raises:
            InputError: the file is no such file; or every structure whose number of residues is
                not that of its sequence, whose letters are not residues or that is there twice.
        """
        arrays = _load(Path(path))
        sequences = [str(sequence) for sequence in arrays["sequence"]]
        offset = arrays["offset"].astype(np.int64)
        problems = _size_problems(str(path), arrays, sequences)
        if problems:
            raise InputError(problems)
        by_sequence: dict[str, StoredStructure] = {}
        for row, sequence in enumerate(sequences):
            start, end = int(offset[row]), int(offset[row + 1])
            fault = _fault(sequence, end - start, by_sequence)
            if fault:
                problems.append(Problem(f"{path}, structure {row + 1}", fault))
                continue
            rows = slice(start, end)
            by_sequence[sequence] = StoredStructure(
                backbone=arrays[_COORDINATES][rows, :_BACKBONE_ATOMS].astype(np.float32) / 100.0,
                atom_exists=arrays["atom_mask"][rows, :_BACKBONE_ATOMS].astype(bool),
                plddt=arrays["plddt_ca"][rows].astype(np.float32),
            )
        if problems:
            raise InputError(problems)
        return cls(by_sequence)


def _load(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            missing = [name for name in _NEEDED if name not in archive.files]
            if missing:
                message = f"has no {', '.join(missing)}; expected the arrays {', '.join(_NEEDED)}"
                raise InputError(Problem(str(path), message))
            return {name: archive[name] for name in _NEEDED}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(Problem(str(path), f"cannot be read as .npz: {error}")) from error


def _size_problems(
    path: str, arrays: Mapping[str, np.ndarray], sequences: list[str]
) -> list[Problem]:
    """Faults that make every row doubtful."""
    offset = arrays["offset"]
    if len(offset) != len(sequences) + 1:
        message = f"offset has {len(offset)} numbers, {len(sequences)} sequences need one more"
        return [Problem(path, message)]
    residues = int(offset[-1])
    return [
        Problem(path, f"{name} has {len(arrays[name])} residues, offset says {residues}")
        for name in (_COORDINATES, "atom_mask", "plddt_ca")
        if len(arrays[name]) != residues
    ]


def _fault(sequence: str, residues: int, seen: Mapping[str, StoredStructure]) -> str:
    if first_unknown(sequence) is not None or not sequence:
        return f"sequence {sequence!r} has letters that are no residues"
    if residues != len(sequence):
        return f"{sequence} has {len(sequence)} residues, its structure {residues}; predict it anew"
    return f"{sequence} is there twice; remove one" if sequence in seen else ""
