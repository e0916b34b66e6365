"""From atoms in file order to residues with one conformation each."""

import numpy as np
from jaxtyping import Bool, Int

from foldwright.structure.io.atom_table import AtomTable


def group_residues(atoms: AtomTable) -> tuple[AtomTable, Int[np.ndarray, " a"]]:
    """Sort atoms by residue and choose one alternative conformation for each.

    A residue is a run of atoms with one number, insertion code, chain and molecule; the residue
    name may change inside it only where the atoms are marked as alternatives. Alternatives that a
    file lists later, apart from the rest of their residue, are brought together.

    Returns:
        The atoms that stay, residue by residue in file order, and the residue index of each.
    """
    residue = _residue_of_atom(atoms)
    order = np.argsort(residue, kind="stable")
    atoms, residue = atoms.take(order), residue[order]
    keep = _chosen_conformation(atoms, residue)
    return atoms.take(keep), residue[keep]


def _residue_of_atom(atoms: AtomTable) -> Int[np.ndarray, " a"]:
    changes = np.zeros(len(atoms), dtype=bool)
    changes[0] = True
    for column in (
        atoms.residue_numbers,
        atoms.insertion_codes,
        atoms.chain_ids,
        atoms.molecule,
    ):
        changes[1:] |= column[1:] != column[:-1]
    plain = atoms.altlocs == ""
    renamed = atoms.residue_names[1:] != atoms.residue_names[:-1]
    changes[1:] |= renamed & (plain[1:] | plain[:-1])
    run = np.cumsum(changes) - 1
    return run if plain.all() else _join_separated_alternatives(atoms, run)


def _join_separated_alternatives(
    atoms: AtomTable, run: Int[np.ndarray, " a"]
) -> Int[np.ndarray, " a"]:
    starts = np.flatnonzero(np.diff(run, prepend=-1))
    only_alternatives = np.logical_and.reduceat(atoms.altlocs != "", starts)
    residue_of_run = np.arange(len(starts))
    first_of: dict[tuple[str, int, str, int], int] = {}
    for index, start in enumerate(starts):
        key = (
            str(atoms.chain_ids[start]),
            int(atoms.residue_numbers[start]),
            str(atoms.insertion_codes[start]),
            int(atoms.molecule[start]),
        )
        first = first_of.setdefault(key, index)
        if only_alternatives[index]:
            residue_of_run[index] = first
    return residue_of_run[run]


def _chosen_conformation(
    atoms: AtomTable, residue: Int[np.ndarray, " a"]
) -> Bool[np.ndarray, " a"]:
    keep = np.ones(len(atoms), dtype=bool)
    bounds = np.append(np.flatnonzero(np.diff(residue, prepend=-1)), len(atoms))
    alternative = atoms.altlocs != ""
    affected = np.logical_or.reduceat(alternative, bounds[:-1])
    for index in np.flatnonzero(affected):
        members = slice(bounds[index], bounds[index + 1])
        keep[members] = _conformation_mask(atoms, members)
    return keep


def _conformation_mask(atoms: AtomTable, members: slice) -> Bool[np.ndarray, " m"]:
    """Keep one label's atoms and those without a label.

    Conformations with a C-alpha come first where any has one, then the higher mean occupancy, then
    the label that sorts first. Where a label carries several residue names each counts apart.
    """
    labels, names = atoms.altlocs[members], atoms.residue_names[members]
    atom_names, occupancy = atoms.atom_names[members], atoms.occupancy[members]
    candidates = sorted({(str(a), str(b)) for a, b in zip(labels, names, strict=True) if a})

    def rank(candidate: tuple[str, str]) -> tuple[bool, float]:
        own = (labels == candidate[0]) & (names == candidate[1])
        return bool((atom_names[own] == "CA").any()), float(occupancy[own].mean(dtype=np.float64))

    label, name = max(candidates, key=rank)
    return ((labels == label) | (labels == "")) & (names == name)
