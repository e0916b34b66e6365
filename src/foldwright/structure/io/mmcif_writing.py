"""A structure as the tables of an mmCIF file."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from string import ascii_uppercase

import numpy as np
from jaxtyping import Shaped

from foldwright.chem.residues import AMINO_ACIDS, NUCLEOTIDES, UNKNOWN_AMINO_ACID
from foldwright.runtime.errors import InputError, Problem
from foldwright.structure.io.cif_text import Columns, format_block
from foldwright.structure.records import Chain, Structure

STANDARD_RESIDUES = frozenset({*AMINO_ACIDS, *NUCLEOTIDES, UNKNOWN_AMINO_ACID})
"""Residues of polymers that files list as ATOM; all others are HETATM."""

_SEQUENCE_LINE = 80
_NULL_VALUES = frozenset({".", "?"})


@dataclass(frozen=True)
class _Molecule:
    """One polymer chain, or one residue of a ligand chain, under its own label."""

    label: str
    entity: int
    chain: Chain
    residue: int | None


@dataclass
class _Entities:
    """Numbers the distinct molecules: the same sequence of residue names is one entity."""

    numbers: dict[tuple[str, ...], int] = field(default_factory=dict)

    def number(self, kind: str, names: list[str]) -> int:
        key = (kind, *names)
        return self.numbers.setdefault(key, len(self.numbers) + 1)


def format_mmcif(structure: Structure) -> str:
    """Format a structure as mmCIF with author and label identifiers and the observed sequences.

    `label_seq_id` counts the residues that are there, from 1; author numbers go to `auth_seq_id`.
    Every ligand residue gets a label of its own. Coordinates have three decimals.

    Raises:
        InputError: a chain name that means "none" in this format.
    """
    problems = [
        Problem(f"chain {chain.chain_id!r}", "this name means 'none' in mmCIF; rename the chain")
        for chain in structure.chains
        if chain.chain_id in _NULL_VALUES
    ]
    if problems:
        raise InputError(problems)
    molecules = _label_molecules(structure)
    name = "".join(
        c if c.isascii() and c.isprintable() and c != " " else "_" for c in structure.name
    )
    tables: dict[str, Columns] = {"entry": {"id": [name]}}
    tables |= _experiment(structure, name) | _entity_tables(molecules)
    tables["atom_site"] = _atom_site(molecules)
    return format_block(name, tables)


def _labels() -> Iterator[str]:
    length = 1
    while True:
        yield from ("".join(letters) for letters in product(ascii_uppercase, repeat=length))
        length += 1


def _label_molecules(structure: Structure) -> list[_Molecule]:
    labels, entities = _labels(), _Entities()
    molecules = []
    for chain in structure.chains:
        names = [str(name) for name in chain.residue_names]
        if chain.kind == "ligand":
            molecules += [
                _Molecule(next(labels), entities.number("ligand", [name]), chain, index)
                for index, name in enumerate(names)
            ]
        else:
            number = entities.number(chain.kind, names)
            molecules.append(_Molecule(next(labels), number, chain, None))
    return molecules


def _experiment(structure: Structure, name: str) -> dict[str, Columns]:
    tables: dict[str, Columns] = {}
    if structure.method is not None:
        methods = structure.method.split("; ")
        tables["exptl"] = {"entry_id": [name] * len(methods), "method": methods}
    if structure.resolution is not None:
        resolution = [f"{structure.resolution:g}"]
        if structure.method is not None and "MICROSCOPY" in structure.method.upper():
            tables["em_3d_reconstruction"] = {"entry_id": [name], "resolution": resolution}
        else:
            tables["refine"] = {"entry_id": [name], "ls_d_res_high": resolution}
    return tables


def _entity_tables(molecules: list[_Molecule]) -> dict[str, Columns]:
    copies = Counter(molecule.entity for molecule in molecules)
    first = {molecule.entity: molecule for molecule in reversed(molecules)}
    entities = sorted(first)
    tables: dict[str, Columns] = {
        "entity": {
            "id": [str(number) for number in entities],
            "type": ["polymer" if first[n].residue is None else "non-polymer" for n in entities],
            "pdbx_number_of_molecules": [str(copies[number]) for number in entities],
        },
        "struct_asym": {
            "id": [molecule.label for molecule in molecules],
            "entity_id": [str(molecule.entity) for molecule in molecules],
        },
    }
    polymers = [first[number] for number in entities if first[number].residue is None]
    if polymers:
        tables["entity_poly"] = _entity_poly(polymers, molecules)
        tables["entity_poly_seq"] = {
            "entity_id": [str(p.entity) for p in polymers for _ in range(len(p.chain))],
            "num": [str(i + 1) for p in polymers for i in range(len(p.chain))],
            "mon_id": [str(name) for p in polymers for name in p.chain.residue_names],
        }
    return tables


def _entity_poly(polymers: list[_Molecule], molecules: list[_Molecule]) -> Columns:
    return {
        "entity_id": [str(polymer.entity) for polymer in polymers],
        "type": [_polymer_type(polymer.chain) for polymer in polymers],
        "pdbx_strand_id": [
            ",".join(m.chain.chain_id for m in molecules if m.entity == polymer.entity)
            for polymer in polymers
        ],
        "pdbx_seq_one_letter_code_can": [_wrap(polymer.chain.sequence) for polymer in polymers],
    }


def _polymer_type(chain: Chain) -> str:
    if chain.kind == "protein":
        return "polypeptide(L)"
    deoxy = np.char.startswith(chain.residue_names, "D")
    return "polydeoxyribonucleotide" if deoxy.mean() > 0.5 else "polyribonucleotide"


def _wrap(sequence: str) -> str:
    lines = range(0, len(sequence), _SEQUENCE_LINE)
    return "\n".join(sequence[start : start + _SEQUENCE_LINE] for start in lines)


def _atom_site(molecules: list[_Molecule]) -> Columns:
    parts = [_atom_rows(molecule) for molecule in molecules]
    columns = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
    count = len(columns["label_atom_id"])
    return {
        "group_PDB": columns.pop("group_PDB"),
        "id": np.arange(1, count + 1).astype(str),
        **columns,
        "pdbx_PDB_model_num": np.full(count, "1"),
    }


def _atom_rows(molecule: _Molecule) -> dict[str, Shaped[np.ndarray, " a"]]:
    chain, label = molecule.chain, molecule.label
    index = chain.atom_residue_index
    chosen = (
        np.arange(len(index))
        if molecule.residue is None
        else np.flatnonzero(index == molecule.residue)
    )
    residue = index[chosen]
    names, count = chain.residue_names[residue], len(chosen)
    polymer = molecule.residue is None
    standard = np.isin(names, list(STANDARD_RESIDUES)) & polymer
    return {
        "group_PDB": np.where(standard, "ATOM", "HETATM"),
        "type_symbol": chain.elements[chosen],
        "label_atom_id": chain.atom_names[chosen],
        "label_alt_id": np.full(count, ""),
        "label_comp_id": names,
        "label_asym_id": np.full(count, label),
        "label_entity_id": np.full(count, str(molecule.entity)),
        "label_seq_id": (residue + 1).astype(str) if polymer else np.full(count, ""),
        "pdbx_PDB_ins_code": chain.insertion_codes[residue],
        **{f"Cartn_{axis}": _decimals(chain.coords[chosen, i], 3) for i, axis in enumerate("xyz")},
        "occupancy": _decimals(chain.occupancy[chosen], 2),
        "B_iso_or_equiv": _decimals(chain.b_factor[chosen], 2),
        "auth_seq_id": chain.residue_numbers[residue].astype(str),
        "auth_comp_id": names,
        "auth_asym_id": np.full(count, chain.chain_id),
        "auth_atom_id": chain.atom_names[chosen],
    }


def _decimals(values: Shaped[np.ndarray, " a"], places: int) -> Shaped[np.ndarray, " a"]:
    return np.char.mod(f"%.{places}f", values.astype(np.float64))
