"""Write a structure file; the suffix decides the format."""

import gzip
from pathlib import Path

from foldwright.runtime.errors import InputError, Problem
from foldwright.runtime.files import write_atomic
from foldwright.structure.io.mmcif_writing import format_mmcif
from foldwright.structure.io.pdb_writing import format_pdb
from foldwright.structure.records import Structure

_WRITERS = {".pdb": format_pdb, ".ent": format_pdb, ".cif": format_mmcif, ".mmcif": format_mmcif}


def write_structure(structure: Structure, path: Path | str) -> None:
    """Write a structure as mmCIF (`.cif`, `.mmcif`) or PDB (`.pdb`, `.ent`), with `.gz` gzipped.

    The file appears whole or not at all. Coordinates get three decimals. Equal structures give
    equal bytes.

    Raises:
        InputError: another suffix, or a structure that the PDB format cannot hold.
    """
    path = Path(path)
    zipped = path.suffix.lower() == ".gz"
    suffix = (path.with_suffix("") if zipped else path).suffix.lower()
    if suffix not in _WRITERS:
        choices = ", ".join(_WRITERS)
        message = f"cannot write the format {suffix!r}; use one of {choices}, or one with .gz"
        raise InputError(Problem(str(path), message))
    try:
        content = _WRITERS[suffix](structure).encode()
    except InputError as error:
        raise InputError(
            [Problem(str(path), str(problem)) for problem in error.problems]
        ) from error
    write_atomic(path, gzip.compress(content, mtime=0) if zipped else content)
