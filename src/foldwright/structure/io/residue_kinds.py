"""Which residues of a file are protein, which nucleic acid, and which a molecule of their own."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int, Shaped

from foldwright.chem.backbone_geometry import C_N_BREAK, CA_CA_BREAK, CA_CA_OVERLAP
from foldwright.chem.residues import UNKNOWN_LETTER, nucleotide_letter, protein_letter
from foldwright.structure.io.atom_table import AtomTable, InPolymer
from foldwright.structure.io.biotite_adapter import Component, polymer_component

_LIGAND = Component("ligand", UNKNOWN_LETTER)
_UNNAMED_AMINO_ACID = Component("protein", UNKNOWN_LETTER)
_O3_P_BREAK = 2.2
"""O3' and P of neighbouring nucleotides farther apart than this, in Å, are not bonded."""


@dataclass(frozen=True)
class ResidueTable:
    """Atoms sorted by residue, seen residue by residue."""

    atoms: AtomTable
    residue_index: Int[np.ndarray, " a"]

    def __len__(self) -> int:
        return len(self.first_atoms)

    @cached_property
    def first_atoms(self) -> Int[np.ndarray, " n"]:
        """Index of the first atom of each residue."""
        return np.flatnonzero(np.diff(self.residue_index, prepend=-1))

    @cached_property
    def _bounds(self) -> Int[np.ndarray, " bounds"]:
        return np.append(self.first_atoms, len(self.atoms))

    def column(self, name: str) -> Shaped[np.ndarray, " n"]:
        """Values of a column of the atom table that are the same for a whole residue."""
        return getattr(self.atoms, name)[self.first_atoms]

    def position(self, residue: int, atom_name: str) -> Float[np.ndarray, "3"] | None:
        """Position in Å of a residue's atom, None where it is missing.

        The name's first letter has to be the element, so a calcium ion is no C-alpha.
        """
        members = slice(self._bounds[residue], self._bounds[residue + 1])
        found = np.flatnonzero(
            (self.atoms.atom_names[members] == atom_name)
            & (self.atoms.elements[members] == atom_name[0])
        )
        return self.atoms.coords[members][found[0]].astype(np.float64) if len(found) else None


def classify_residues(table: ResidueTable) -> list[Component]:
    """Decide for every residue what it is and which letter it has.

    The name decides first: the tables of `chem`, then the Chemical Component Dictionary; a name
    that neither knows is an amino acid if it has N, CA and C. A HETATM residue that could be part
    of a polymer is one where the file says so, or, where the file is silent, if it is bonded to
    the residue before or after it. ATOM residues need no such proof.
    """
    names, hetero = table.column("residue_names").tolist(), table.column("hetero")
    evidence = table.column("in_polymer")
    outside = hetero & (evidence == InPolymer.NO)
    named = {name: _named_component(name) for name in set(np.array(names)[~outside].tolist())}
    could_be = [
        _LIGAND if outside[index] else named[name] or _unnamed_component(table, index)
        for index, name in enumerate(names)
    ]
    needs_bond = hetero & (evidence == InPolymer.UNSAID)
    return [
        _LIGAND if needs_bond[index] and not _is_bonded(table, could_be, index) else could_be[index]
        for index in range(len(table))
    ]


def _named_component(name: str) -> Component | None:
    if letter := protein_letter(name):
        return Component("protein", letter)
    if letter := nucleotide_letter(name):
        return Component("nucleic", letter)
    return polymer_component(name)


def _unnamed_component(table: ResidueTable, index: int) -> Component:
    complete = all(table.position(index, atom) is not None for atom in ("N", "CA", "C"))
    return _UNNAMED_AMINO_ACID if complete else _LIGAND


def _is_bonded(table: ResidueTable, could_be: list[Component], index: int) -> bool:
    kind = could_be[index].kind
    chains = table.column("chain_ids")
    joined = {"protein": _peptide_bond, "nucleic": _phosphodiester_bond}.get(kind)
    if joined is None:
        return False
    return any(
        first >= 0
        and first + 1 < len(table)
        and chains[first] == chains[first + 1]
        and could_be[first].kind == could_be[first + 1].kind
        and joined(table, first)
        for first in (index - 1, index)
    )


def _peptide_bond(table: ResidueTable, first: int) -> bool:
    c, n = table.position(first, "C"), table.position(first + 1, "N")
    if c is not None and n is not None:
        return bool(np.linalg.norm(c - n) <= C_N_BREAK)
    here, following = table.position(first, "CA"), table.position(first + 1, "CA")
    if here is None or following is None:
        return False
    return bool(CA_CA_OVERLAP <= np.linalg.norm(here - following) <= CA_CA_BREAK)


def _phosphodiester_bond(table: ResidueTable, first: int) -> bool:
    oxygen, phosphorus = table.position(first, "O3'"), table.position(first + 1, "P")
    if oxygen is None or phosphorus is None:
        return False
    return bool(np.linalg.norm(oxygen - phosphorus) <= _O3_P_BREAK)
