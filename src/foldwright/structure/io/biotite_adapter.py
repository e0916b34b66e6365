"""The only door to biotite: file formats, the Chemical Component Dictionary and P-SEA."""

import io
import warnings
from functools import cache
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
from biotite.file import DeserializationError
from biotite.structure import AtomArray, annotate_sse
from biotite.structure.info import link_type, one_letter_code
from biotite.structure.io.pdb import PDBFile
from biotite.structure.io.pdbx import (
    BinaryCIFBlock,
    BinaryCIFCategory,
    BinaryCIFFile,
    CIFBlock,
    CIFCategory,
    CIFFile,
)
from jaxtyping import Float, Int, Shaped

from foldwright.chem.residues import (
    AMINO_ACIDS,
    NUCLEOTIDE_LETTERS,
    UNKNOWN_LETTER,
    UNKNOWN_NUCLEOTIDE_LETTER,
)
from foldwright.runtime.errors import InputError
from foldwright.structure.io import pdb_lines
from foldwright.structure.io.atom_table import AtomTable, InPolymer, ParsedFile

_Block: TypeAlias = CIFBlock | BinaryCIFBlock
_Table: TypeAlias = CIFCategory | BinaryCIFCategory

_RESOLUTION_FIELDS = (
    ("refine", "ls_d_res_high"),
    ("em_3d_reconstruction", "resolution"),
    ("reflns", "d_resolution_high"),
)
_P_SEA_LETTERS = {"a": "H", "b": "E", "c": "C", "": "C"}


class Component(NamedTuple):
    """What the Chemical Component Dictionary says about a residue name."""

    kind: Literal["protein", "nucleic", "ligand"]
    letter: str


@cache
def polymer_component(name: str) -> Component | None:
    """Look a residue name up in the dictionary; None if it is no amino acid or nucleotide.

    The letter is the parent's; `X` or `N` where there is none, or more than one as in the
    chromophore of fluorescent proteins. The first call reads the dictionary (about a second).
    """
    link = (link_type(name) or "").upper()
    letter = one_letter_code(name) or ""
    if "PEPTIDE" in link and "PEPTIDE-LIKE" not in link:
        known = letter in AMINO_ACIDS.values()
        return Component("protein", letter if known else UNKNOWN_LETTER)
    if "DNA" in link or "RNA" in link:
        known = letter != "" and letter in NUCLEOTIDE_LETTERS
        return Component("nucleic", letter if known else UNKNOWN_NUCLEOTIDE_LETTER)
    return None


def parse_pdb(text: str, *, model: int) -> ParsedFile:
    """Parse one model, counted from 1, of a PDB file.

    Raises:
        InputError: no atoms, no such model, or a field that is not a number.
    """
    lines = text.splitlines()
    models = pdb_lines.split_models(lines)
    _check_model(model, len(models))
    records = models[model - 1]
    header = pdb_lines.read_header(lines)
    return ParsedFile(
        atoms=_pdb_atoms(records),
        num_models=len(models),
        name=header.name,
        method=header.method,
        resolution=header.resolution,
    )


def parse_cif(text: str, *, model: int) -> ParsedFile:
    """Parse one model, counted from 1, of an mmCIF file.

    Raises:
        InputError: no atoms, no such model, a damaged table, or a field that is not a number.
    """
    return _parse_pdbx(CIFFile.deserialize(text), model)


def parse_binary_cif(content: bytes, *, model: int) -> ParsedFile:
    """Parse one model, counted from 1, of a BinaryCIF file; raises as `parse_cif`."""
    try:
        file = BinaryCIFFile.read(io.BytesIO(content))
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"the BinaryCIF data is cut off or damaged ({error})") from error
    return _parse_pdbx(file, model)


def p_sea(ca: Float[np.ndarray, "n 3"], residue_numbers: Int[np.ndarray, " n"]) -> str:
    """Assign `H`, `E` or `C` to every residue; a jump of the numbers is a chain break.

    A residue with NaN is `C`. Labesse et al. 1997, CABIOS 13, 291 (P-SEA), in biotite's version.
    """
    atoms = AtomArray(len(ca))
    atoms.coord = ca.astype(np.float32)
    atoms.res_id = residue_numbers
    atoms.res_name[:] = "ALA"
    atoms.atom_name[:] = "CA"
    atoms.element[:] = "C"
    atoms.chain_id[:] = "A"
    return "".join(_P_SEA_LETTERS[str(state)] for state in annotate_sse(atoms))


def _check_model(model: int, num_models: int) -> None:
    if num_models == 0:
        raise InputError("holds no atoms")
    if not 1 <= model <= num_models:
        raise InputError(
            f"has no model {model}: it holds {num_models}; give a number from 1 to {num_models}"
        )


def _pdb_atoms(records: list[str]) -> AtomTable:
    completed = pdb_lines.complete_atom_lines(
        [line for line in records if line.startswith(pdb_lines.ATOM_RECORDS)]
    )
    try:
        # Warnings tell of unit cells and guessed elements, which are not read here.
        with warnings.catch_warnings(action="ignore"):
            atoms = PDBFile.read(io.StringIO("\n".join(completed))).get_structure(
                model=1, altloc="all", extra_fields=["occupancy", "b_factor"]
            )
    except ValueError as error:
        pdb_lines.check_numbers(completed)
        raise InputError(f"a field of an ATOM or HETATM line cannot be read ({error})") from error
    molecule, in_polymer = pdb_lines.molecule_marks(records)
    return AtomTable(
        hetero=atoms.hetero,
        atom_names=atoms.atom_name,
        elements=np.char.upper(atoms.element),
        altlocs=np.char.strip(atoms.altloc_id),
        residue_names=atoms.res_name,
        residue_numbers=atoms.res_id.astype(np.int64),
        insertion_codes=atoms.ins_code,
        chain_ids=atoms.chain_id,
        molecule=molecule,
        in_polymer=in_polymer,
        coords=atoms.coord.astype(np.float32),
        occupancy=atoms.occupancy.astype(np.float32),
        b_factor=atoms.b_factor.astype(np.float32),
    )


def _parse_pdbx(file: CIFFile | BinaryCIFFile, model: int) -> ParsedFile:
    try:
        block = next((file[name] for name in file if "atom_site" in file[name]), None)
        if block is None:
            raise InputError("has no atom_site table, so no coordinates")
        site = block["atom_site"]
        row_model = _model_of_row(site)
    except (DeserializationError, KeyError, IndexError, StopIteration) as error:
        raise InputError("the atom_site table is cut off or malformed") from error
    numbers, first = np.unique(row_model, return_index=True)
    _check_model(model, len(numbers))
    chosen = row_model == numbers[np.argsort(first)[model - 1]]
    try:
        atoms = _pdbx_atoms(site, declares_polymers="entity_poly" in block)
    except KeyError as error:
        raise InputError(f"the atom_site table has no column {error}") from error
    resolutions = (_first_value(block, *field) for field in _RESOLUTION_FIELDS)
    return ParsedFile(
        atoms=atoms.take(chosen),
        num_models=len(numbers),
        name=_first_value(block, "entry", "id"),
        method=_all_values(block, "exptl", "method"),
        resolution=next((value for value in map(_positive_number, resolutions) if value), None),
    )


def _model_of_row(site: _Table) -> Shaped[np.ndarray, " rows"]:
    if "pdbx_PDB_model_num" not in site:
        return np.zeros(site.row_count, dtype=np.int64)
    return site["pdbx_PDB_model_num"].as_array(str)


def _pdbx_atoms(site: _Table, *, declares_polymers: bool) -> AtomTable:
    label_seq = _text(site, "label_seq_id")
    rows = len(label_seq)
    in_polymer = np.where(label_seq != "", InPolymer.YES, InPolymer.NO).astype(np.int64)
    if not declares_polymers and len(np.unique(in_polymer)) == 1:
        # Programs that know no entities number everything, or nothing.
        in_polymer[:] = InPolymer.UNSAID
    atom_names = _text(site, "label_atom_id", "auth_atom_id")
    return AtomTable(
        hetero=_text(site, "group_PDB") == "HETATM",
        atom_names=atom_names,
        elements=np.char.upper(_text(site, "type_symbol")),
        altlocs=_text(site, "label_alt_id"),
        residue_names=_text(site, "label_comp_id", "auth_comp_id"),
        residue_numbers=_residue_numbers(site),
        insertion_codes=_text(site, "pdbx_PDB_ins_code"),
        chain_ids=_text(site, "auth_asym_id", "label_asym_id"),
        molecule=np.unique(_text(site, "label_asym_id"), return_inverse=True)[1],
        in_polymer=in_polymer,
        coords=np.stack([_number(site, f"Cartn_{axis}", rows) for axis in "xyz"], axis=1),
        occupancy=_number(site, "occupancy", rows, absent=1.0),
        b_factor=_number(site, "B_iso_or_equiv", rows, absent=0.0),
    )


def _text(site: _Table, *names: str) -> Shaped[np.ndarray, " rows"]:
    for name in names:
        if name in site:
            return site[name].as_array(str, masked_value="")
    return np.full(site.row_count, "")


def _number(
    site: _Table, name: str, rows: int, *, absent: float | None = None
) -> Float[np.ndarray, " rows"]:
    if name not in site and absent is not None:
        return np.full(rows, absent, dtype=np.float32)
    try:
        return site[name].as_array(np.float32, masked_value=np.nan if absent is None else absent)
    except ValueError as error:
        raise _not_a_number(name, _text(site, name), float) from error


def _residue_numbers(site: _Table) -> Int[np.ndarray, " rows"]:
    """Author numbers, label numbers where there is none, 0 where there is neither."""
    author, label = _text(site, "auth_seq_id"), _text(site, "label_seq_id")
    numbers = np.where(author == "", label, author)
    numbers = np.where(numbers == "", "0", numbers)
    try:
        return numbers.astype(np.int64)
    except ValueError as error:
        raise _not_a_number("auth_seq_id", numbers, int) from error


def _not_a_number(
    column: str, values: Shaped[np.ndarray, " rows"], convert: type[int] | type[float]
) -> InputError:
    for value in values.tolist():
        try:
            convert(value or "0")
        except ValueError:
            return InputError(
                f"{column} of the atom_site table is {value!r} in a row, not a number"
            )
    raise AssertionError(f"every value of {column} can be converted")


def _first_value(block: _Block, category: str, column: str) -> str | None:
    values = _column_values(block, category, column)
    return values[0] if values else None


def _all_values(block: _Block, category: str, column: str) -> str | None:
    return "; ".join(_column_values(block, category, column)) or None


def _column_values(block: _Block, category: str, column: str) -> list[str]:
    if category not in block or column not in block[category]:
        return []
    values = block[category][column].as_array(str, masked_value="").tolist()
    return [value for value in values if value]


def _positive_number(text: str | None) -> float | None:
    try:
        value = float(text or 0)
    except ValueError:
        return None
    return value if value > 0 else None
