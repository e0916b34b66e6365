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
class _LabelledChain:
    """A chain with the label and the entity number of each of its residues.

    A polymer is one molecule, so its residues share both; in a ligand chain every residue is one.
    """

    chain: Chain
    labels: list[str]
    entities: list[int]

    @property
    def is_polymer(self) -> bool:
        return self.chain.kind != "ligand"

    @property
    def molecules(self) -> list[tuple[str, int]]:
        """Label and entity of every molecule."""
        pairs = list(zip(self.labels, self.entities, strict=True))
        return pairs[:1] if self.is_polymer else pairs


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
    chains = _label_chains(structure)
    name = "".join(
        c if c.isascii() and c.isprintable() and c != " " else "_" for c in structure.name
    )
    tables: dict[str, Columns] = {"entry": {"id": [name]}}
    tables |= _experiment(structure, name) | _entity_tables(chains)
    tables["atom_site"] = _atom_site(chains)
    return format_block(name, tables)


def _labels() -> Iterator[str]:
    length = 1
    while True:
        yield from ("".join(letters) for letters in product(ascii_uppercase, repeat=length))
        length += 1


def _label_chains(structure: Structure) -> list[_LabelledChain]:
    labels, entities = _labels(), _Entities()
    labelled = []
    for chain in structure.chains:
        names = [str(name) for name in chain.residue_names]
        if chain.kind == "ligand":
            own_labels = [next(labels) for _ in names]
            own_entities = [entities.number("ligand", [name]) for name in names]
        else:
            own_labels = [next(labels)] * len(names)
            own_entities = [entities.number(chain.kind, names)] * len(names)
        labelled.append(_LabelledChain(chain, own_labels, own_entities))
    return labelled


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


def _entity_tables(chains: list[_LabelledChain]) -> dict[str, Columns]:
    molecules = [molecule for chain in chains for molecule in chain.molecules]
    copies = Counter(entity for _, entity in molecules)
    polymers = {chain.entities[0]: chain.chain for chain in reversed(chains) if chain.is_polymer}
    entities = sorted(copies)
    tables: dict[str, Columns] = {
        "entity": {
            "id": [str(entity) for entity in entities],
            "type": ["polymer" if entity in polymers else "non-polymer" for entity in entities],
            "pdbx_number_of_molecules": [str(copies[entity]) for entity in entities],
        },
        "struct_asym": {
            "id": [label for label, _ in molecules],
            "entity_id": [str(entity) for _, entity in molecules],
        },
    }
    if polymers:
        tables |= _polymer_tables(dict(sorted(polymers.items())), chains)
    return tables


def _polymer_tables(polymers: dict[int, Chain], chains: list[_LabelledChain]) -> dict[str, Columns]:
    strands = {
        entity: [c.chain.chain_id for c in chains if c.is_polymer and c.entities[0] == entity]
        for entity in polymers
    }
    return {
        "entity_poly": {
            "entity_id": [str(entity) for entity in polymers],
            "type": [_polymer_type(chain) for chain in polymers.values()],
            "pdbx_strand_id": [",".join(strands[entity]) for entity in polymers],
            "pdbx_seq_one_letter_code_can": [_wrap(c.sequence) for c in polymers.values()],
        },
        "entity_poly_seq": {
            "entity_id": [str(e) for e, chain in polymers.items() for _ in range(len(chain))],
            "num": [str(i + 1) for chain in polymers.values() for i in range(len(chain))],
            "mon_id": [str(name) for c in polymers.values() for name in c.residue_names],
        },
    }


def _polymer_type(chain: Chain) -> str:
    if chain.kind == "protein":
        return "polypeptide(L)"
    deoxy = np.char.startswith(chain.residue_names, "D")
    return "polydeoxyribonucleotide" if deoxy.mean() > 0.5 else "polyribonucleotide"


def _wrap(sequence: str) -> str:
    lines = range(0, len(sequence), _SEQUENCE_LINE)
    return "\n".join(sequence[start : start + _SEQUENCE_LINE] for start in lines)


def _atom_site(chains: list[_LabelledChain]) -> Columns:
    parts = [_atom_rows(chain) for chain in chains]
    columns = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
    count = len(columns["label_atom_id"])
    return {
        "group_PDB": columns.pop("group_PDB"),
        "id": np.arange(1, count + 1).astype(str),
        **columns,
        "pdbx_PDB_model_num": np.full(count, "1"),
    }


def _atom_rows(labelled: _LabelledChain) -> dict[str, Shaped[np.ndarray, " a"]]:
    chain, residue = labelled.chain, labelled.chain.atom_residue_index
    names, count = chain.residue_names[residue], len(residue)
    standard = np.isin(names, list(STANDARD_RESIDUES)) & labelled.is_polymer
    return {
        "group_PDB": np.where(standard, "ATOM", "HETATM"),
        "type_symbol": chain.elements,
        "label_atom_id": chain.atom_names,
        "label_alt_id": np.full(count, ""),
        "label_comp_id": names,
        "label_asym_id": np.array(labelled.labels)[residue],
        "label_entity_id": np.array(labelled.entities).astype(str)[residue],
        "label_seq_id": np.where(labelled.is_polymer, (residue + 1).astype(str), ""),
        "pdbx_PDB_ins_code": chain.insertion_codes[residue],
        **{f"Cartn_{axis}": _decimals(chain.coords[:, i], 3) for i, axis in enumerate("xyz")},
        "occupancy": _decimals(chain.occupancy, 2),
        "B_iso_or_equiv": _decimals(chain.b_factor, 2),
        "auth_seq_id": chain.residue_numbers[residue].astype(str),
        "auth_comp_id": names,
        "auth_asym_id": np.full(count, chain.chain_id),
        "auth_atom_id": chain.atom_names,
    }


def _decimals(values: Shaped[np.ndarray, " a"], places: int) -> Shaped[np.ndarray, " a"]:
    return np.char.mod(f"%.{places}f", values.astype(np.float64))
