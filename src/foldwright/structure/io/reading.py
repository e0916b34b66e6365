"""Read a structure file of any supported format; the content decides, not the suffix."""

import gzip
import zlib
from pathlib import Path

from foldwright.runtime.errors import InputError, Problem
from foldwright.structure.io.atom_table import ParsedFile
from foldwright.structure.io.biotite_adapter import parse_binary_cif, parse_cif, parse_pdb
from foldwright.structure.io.chain_assembly import assemble_chains
from foldwright.structure.io.pdb_lines import ATOM_RECORDS
from foldwright.structure.records import Structure

_GZIP_MAGIC = b"\x1f\x8b"
_SUFFIXES = frozenset({".gz", ".pdb", ".ent", ".cif", ".mmcif", ".bcif"})
_SNIFFED_BYTES = 4096


def read_structure(path: Path | str, *, model: int = 1) -> Structure:
    """Read one model of a PDB, mmCIF or BinaryCIF file, gzipped or not.

    Author numbering, insertion codes and chain names are kept. Of alternative conformations the
    one with the highest mean occupancy stays, residue by residue, the first label among equals.
    Water is dropped. Coordinates are in Å.

    Args:
        path: the file; its content decides the format.
        model: which model of several, counted from 1 in file order.

    Raises:
        InputError: the file cannot be read, is damaged or of another format, holds no atoms, or
            has no such model. The message is one line and begins with the path.
    """
    path = Path(path)
    try:
        parsed = _parse(_read_bytes(path), model)
        chains = assemble_chains(parsed.atoms)
    except InputError as error:
        reasons = "; ".join(" ".join(str(problem).split()) for problem in error.problems)
        raise InputError(Problem(str(path), reasons)) from error
    return Structure(
        name=parsed.name or _stem(path),
        chains=chains,
        method=parsed.method,
        resolution=parsed.resolution,
        num_models=parsed.num_models,
    )


def _read_bytes(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}") from error
    if content.startswith(_GZIP_MAGIC):
        try:
            content = gzip.decompress(content)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise InputError(f"the gzip data is cut off or damaged ({error})") from error
    if not content.strip():
        raise InputError("the file is empty")
    return content


def _parse(content: bytes, model: int) -> ParsedFile:
    head = content[:_SNIFFED_BYTES]
    if b"dataBlocks" in head:
        return parse_binary_cif(content, model=model)
    if b"mmtfVersion" in content:
        raise InputError("is in the retired format MMTF; get the entry as mmCIF or BinaryCIF")
    if b"\0" in head:
        raise InputError("is binary data, but not BinaryCIF; expected PDB, mmCIF or BinaryCIF")
    text = _decode(content)
    lines = text.splitlines()
    first = next((line for line in lines if line.strip() and not line.startswith("#")), "")
    if first.startswith("data_"):
        return parse_cif(text, model=model)
    if any(line.startswith(ATOM_RECORDS) for line in lines):
        return parse_pdb(text, model=model)
    raise InputError(
        "holds no ATOM or HETATM lines and no mmCIF data block; expected PDB, mmCIF or BinaryCIF"
    )


def _decode(content: bytes) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        # Old files carry names of people and places in 8-bit letters; every byte has a meaning.
        return content.decode("latin-1")


def _stem(path: Path) -> str:
    while path.suffix.lower() in _SUFFIXES:
        path = path.with_suffix("")
    return path.name
