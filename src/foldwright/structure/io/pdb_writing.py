"""A structure as the lines of a PDB file, wwPDB format version 3.3."""

import textwrap

import numpy as np
from jaxtyping import Shaped

from foldwright.runtime.errors import InputError, Problem
from foldwright.structure.io.mmcif_writing import STANDARD_RESIDUES
from foldwright.structure.records import Chain, Structure

_MAX_SERIAL = 99_999
_RESIDUE_NUMBERS = (-999, 9_999)
_COORDINATES = (-999.9994, 9999.9994)
_TWO_DECIMALS = (-99.994, 999.994)
_METHOD_WIDTH = 68


def format_pdb(structure: Structure) -> str:
    """Format a structure as PDB: polymer chains, each ended by TER, then ligands as HETATM.

    Raises:
        InputError: every limit of the format that the structure exceeds, with the advice to
            write mmCIF.
    """
    polymers = [chain for chain in structure.chains if chain.kind != "ligand"]
    ligands = [chain for chain in structure.chains if chain.kind == "ligand"]
    problems = _limits_exceeded(structure, num_ends=len(polymers))
    if problems:
        raise InputError(problems)
    lines, serial = _title(structure), 1
    for chain in polymers + ligands:
        atom_lines = _atom_lines(chain, serial)
        lines += atom_lines
        serial += len(atom_lines)
        if chain.kind != "ligand":
            lines.append(f"TER   {serial:>5}      {atom_lines[-1][17:27]}".ljust(80))
            serial += 1
    lines.append("END".ljust(80))
    return "\n".join(lines) + "\n"


def _title(structure: Structure) -> list[str]:
    lines = []
    if len(structure.name) == 4:
        lines.append(f"HEADER    {'':52}{structure.name.upper()}")
    if structure.method is not None:
        for count, text in enumerate(textwrap.wrap(structure.method, _METHOD_WIDTH), start=1):
            lines.append(f"EXPDTA  {count if count > 1 else '':>2}{' ' * (count > 1)}{text}")
    if structure.resolution is not None:
        lines.append(f"REMARK   2 RESOLUTION. {structure.resolution:7.2f} ANGSTROMS.")
    return [line.ljust(80) for line in lines]


def _atom_lines(chain: Chain, first_serial: int) -> list[str]:
    names = chain.residue_names[chain.atom_residue_index]
    standard = np.isin(names, list(STANDARD_RESIDUES)) & (chain.kind != "ligand")
    columns = (
        np.where(standard, "ATOM", "HETATM").tolist(),
        range(first_serial, first_serial + len(names)),
        [_name_columns(n, e) for n, e in zip(chain.atom_names, chain.elements, strict=True)],
        names.tolist(),
        chain.residue_numbers[chain.atom_residue_index].tolist(),
        chain.insertion_codes[chain.atom_residue_index].tolist(),
        chain.coords.astype(np.float64).tolist(),
        chain.occupancy.tolist(),
        chain.b_factor.tolist(),
        chain.elements.tolist(),
    )
    return [
        f"{record:<6}{serial:>5} {name} {residue:>3} {chain.chain_id:1}{number:>4}{code:1}   "
        f"{x:8.3f}{y:8.3f}{z:8.3f}{occupancy:6.2f}{b_factor:6.2f}          {element:>2}  "
        for record, serial, name, residue, number, code, (
            x,
            y,
            z,
        ), occupancy, b_factor, element in (zip(*columns, strict=True))
    ]


def _name_columns(name: str, element: str) -> str:
    # The element is right-aligned in the first two of the four columns.
    return f" {name:<3}" if len(element) == 1 and len(name) < 4 else f"{name:<4}"


def _limits_exceeded(structure: Structure, *, num_ends: int) -> list[Problem]:
    problems = []
    lines = sum(len(chain.atom_names) for chain in structure.chains) + num_ends
    if lines > _MAX_SERIAL:
        problems.append(
            Problem(
                "", f"{lines} atoms and chain ends, PDB holds {_MAX_SERIAL}; write mmCIF (.cif)"
            )
        )
    for chain in structure.chains:
        for message in _chain_limits_exceeded(chain):
            place = f"chain {chain.chain_id!r}"
            problems.append(Problem(place, f"{message} in PDB; write mmCIF (.cif)"))
    return problems


def _chain_limits_exceeded(chain: Chain) -> list[str]:
    low, high = _RESIDUE_NUMBERS
    checks = [
        (len(chain.chain_id) > 1, "chain names have one letter"),
        (_longest(chain.residue_names) > 3, "residue names have three letters at most"),
        (_longest(chain.atom_names) > 4, "atom names have four letters at most"),
        (_longest(chain.insertion_codes) > 1, "insertion codes have one letter"),
        (_outside(chain.residue_numbers, low, high), f"residue numbers run from {low} to {high}"),
        (_outside(chain.coords, *_COORDINATES), "coordinates run from -999.999 to 9999.999 Å"),
        (
            _outside(chain.occupancy, *_TWO_DECIMALS) or _outside(chain.b_factor, *_TWO_DECIMALS),
            "occupancies and B factors run from -99.99 to 999.99",
        ),
    ]
    return [message for failed, message in checks if failed]


def _longest(texts: Shaped[np.ndarray, " n"]) -> int:
    return int(np.char.str_len(texts).max())


def _outside(values: Shaped[np.ndarray, "..."], low: int | float, high: int | float) -> bool:
    return bool(((values < low) | (values > high)).any())
