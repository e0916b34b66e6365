"""The lines of a PDB file: models, chain ends, header facts and fields older programs leave out.

The library behind the adapter reads the fields of an atom line; this module prepares the lines for
it, because it refuses blank occupancies, guesses elements without the columns of the atom name, and
does not know TER records.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from jaxtyping import Int

from foldwright.chem.elements import ELEMENT_SYMBOLS, UNKNOWN_ELEMENT
from foldwright.chem.residues import nucleotide_letter, protein_letter
from foldwright.runtime.errors import InputError
from foldwright.structure.io.atom_table import InPolymer

ATOM_RECORDS = ("ATOM  ", "HETATM")
"""How the lines of atoms begin."""

_LINE_WIDTH = 80
_COORDINATES_END = 54
_SELENO_AMINO_ACIDS = frozenset({"MSE", "CSE", "SEC"})
_NUMBER_FIELDS = {
    "x": slice(30, 38),
    "y": slice(38, 46),
    "z": slice(46, 54),
    "occupancy": slice(54, 60),
    "B factor": slice(60, 66),
}
_RESOLUTION = re.compile(r"REMARK   2 RESOLUTION\.\s+([0-9.]+)\s+ANGSTROM")


@dataclass(frozen=True)
class PdbHeader:
    """Facts from the title section; None where the file does not say."""

    name: str | None
    method: str | None
    resolution: float | None


def split_models(lines: Sequence[str]) -> list[list[str]]:
    """Give the ATOM, HETATM and TER lines of every model; one model without MODEL records."""
    marks = any(line.startswith("MODEL ") for line in lines)
    models: list[list[str]] = [] if marks else [[]]
    inside = not marks
    for line in lines:
        if line.startswith("MODEL "):
            models.append([])
            inside = True
        elif line.startswith("ENDMDL"):
            inside = not marks
        elif inside and line.startswith((*ATOM_RECORDS, "TER")):
            models[-1].append(line)
    return [model for model in models if any(line.startswith(ATOM_RECORDS) for line in model)]


def complete_atom_lines(lines: Sequence[str]) -> list[str]:
    """Pad atom lines to full width; fill blank occupancies (1), B factors (0) and elements.

    The element comes from the columns of the atom name where its own columns hold none, as in
    files from before 1996, which carry the entry's code and a line number there.

    Raises:
        InputError: a line ends inside its coordinates.
    """
    completed = []
    for short_line in lines:
        if len(short_line) < _COORDINATES_END:
            raise InputError(
                f"the line {short_line!r} is cut off: coordinates end at column {_COORDINATES_END}"
            )
        line = short_line.ljust(_LINE_WIDTH)
        occupancy = line[54:60] if line[54:60].strip() else "  1.00"
        b_factor = line[60:66] if line[60:66].strip() else "  0.00"
        element = line[76:78].strip().upper()
        if element not in ELEMENT_SYMBOLS and element != UNKNOWN_ELEMENT:
            element = infer_element(line[12:16], line[17:20].strip())
        completed.append(f"{line[:54]}{occupancy}{b_factor}{line[66:76]}{element:>2}  ")
    return completed


@cache
def infer_element(name_columns: str, residue_name: str) -> str:
    """Infer an element from the four columns of an atom name.

    Polymers hold one-letter elements only, selenium aside. Elsewhere the name's first two columns
    are the element's, so ` CA ` is carbon and `CA  ` calcium.
    """
    letters = "".join(filter(str.isalpha, name_columns)).upper()
    if protein_letter(residue_name) or nucleotide_letter(residue_name):
        if residue_name in _SELENO_AMINO_ACIDS and letters.startswith("SE"):
            return "SE"
        return letters[:1] if letters[:1] in ELEMENT_SYMBOLS else UNKNOWN_ELEMENT
    columns = name_columns[:2].strip().upper()
    four_letter_hydrogen = columns.startswith("H") and " " not in name_columns
    if columns in ELEMENT_SYMBOLS and not four_letter_hydrogen:
        return columns
    return letters[:1] if letters[:1] in ELEMENT_SYMBOLS else UNKNOWN_ELEMENT


def molecule_marks(
    lines: Sequence[str],
) -> tuple[Int[np.ndarray, " a"], Int[np.ndarray, " a"]]:
    """Read TER records: the molecule each atom belongs to, and whether it is in a polymer.

    A chain's atoms before its last TER are polymer, those after are not; a chain without TER
    leaves it unsaid.
    """
    molecule: list[int] = []
    chains: list[str] = []
    last_end: dict[str, int] = {}
    ends = 0
    for line in lines:
        if line.startswith(ATOM_RECORDS):
            molecule.append(ends)
            chains.append(line[21:22])
        elif chains:
            ends += 1
            last_end[chains[-1]] = len(chains)
    in_polymer = [
        InPolymer.UNSAID
        if chain not in last_end
        else (InPolymer.YES if place < last_end[chain] else InPolymer.NO)
        for place, chain in enumerate(chains)
    ]
    return np.array(molecule, dtype=np.int64), np.array(in_polymer, dtype=np.int64)


def read_header(lines: Sequence[str]) -> PdbHeader:
    """Read the entry's code, the experimental method and the resolution in Å."""
    name, resolution, methods = None, None, []
    for line in lines:
        if line.startswith(ATOM_RECORDS):
            break
        if line.startswith("HEADER"):
            name = line[62:66].strip() or None
        elif line.startswith("EXPDTA"):
            methods.append(line[10:79].strip())
        elif found := _RESOLUTION.match(line):
            resolution = float(found[1])
    return PdbHeader(name, " ".join(methods).rstrip(";") or None, resolution)


def check_numbers(lines: Sequence[str]) -> None:
    """Raise for the first atom line with a number that cannot be read.

    Raises:
        InputError: naming the field, its text and the atom line.
    """
    for line in lines:
        for field, columns in _NUMBER_FIELDS.items():
            try:
                float(line[columns])
            except ValueError:
                raise InputError(
                    f"{field} is {line[columns].strip()!r}, not a number, "
                    f"in the line {line[:66].rstrip()!r}"
                ) from None
