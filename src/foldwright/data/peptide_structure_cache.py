"""A folder of predicted structures, one file per peptide, named by the MD5 of its sequence."""

import hashlib
import io
import zipfile
from pathlib import Path

import numpy as np

from foldwright.data.peptide_structures import StoredStructure
from foldwright.runtime.errors import InputError, Problem
from foldwright.runtime.files import write_atomic

_ARRAYS = ("backbone", "atom_exists", "plddt")


class StructureCache:
    """Files `<2 hex>/<md5>.npz` with `backbone` (n, 4, 3), `atom_exists` (n, 4), `plddt` (n)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, sequence: str) -> Path:
        """Return where the structure of a sequence is, or would be."""
        key = hashlib.md5(sequence.encode("ascii"), usedforsecurity=False).hexdigest()
        return self.folder / key[:2] / f"{key}.npz"

    def get(self, sequence: str) -> StoredStructure | None:
        """Return the structure of a sequence, or None where there is none.

        Raises:
            InputError: the file cannot be read, or its lengths are not those of the sequence.
        """
        path = self.path(sequence)
        if not path.is_file():
            return None
        try:
            with np.load(path, allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in _ARRAYS}
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            message = f"cannot be read ({error}); remove it, and predict {sequence} anew"
            raise InputError(Problem(str(path), message)) from error
        shapes = [array.shape for array in arrays.values()]
        n = len(sequence)
        if shapes != [(n, 4, 3), (n, 4), (n,)]:
            message = (
                f"holds arrays of {', '.join(str(len(array)) for array in arrays.values())} "
                f"residues for {sequence}, which has {n}; remove it, and predict it anew"
            )
            raise InputError(Problem(str(path), message))
        return StoredStructure(
            arrays["backbone"].astype(np.float32),
            arrays["atom_exists"].astype(bool),
            arrays["plddt"].astype(np.float32),
        )

    def put(self, sequence: str, structure: StoredStructure) -> None:
        """Write the structure of a sequence, all at once."""
        stream = io.BytesIO()
        np.savez_compressed(
            stream,
            backbone=structure.backbone,
            atom_exists=structure.atom_exists,
            plddt=structure.plddt,
        )
        write_atomic(self.path(sequence), stream.getvalue())
