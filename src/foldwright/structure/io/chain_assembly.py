"""From the atoms of a file to protein, nucleic acid and ligand chains."""

import numpy as np
from jaxtyping import Int

from foldwright.chem.residues import WATERS
from foldwright.runtime.errors import InputError
from foldwright.structure.io.atom_table import AtomTable
from foldwright.structure.io.biotite_adapter import Component
from foldwright.structure.io.residue_grouping import group_residues
from foldwright.structure.io.residue_kinds import ResidueTable, classify_residues
from foldwright.structure.records import Chain

_ResidueId = tuple[int, str]


def assemble_chains(atoms: AtomTable) -> tuple[Chain, ...]:
    """Sort atoms into chains, in the order of their first atoms; water is left out.

    A polymer chain is everything of one kind under one chain name, unless the file marks an end
    (TER, another label chain) and residue numbers come again after it: then a new chain starts.
    What is no polymer forms one ligand chain for each chain name.

    Raises:
        InputError: there is nothing but water, or a coordinate is not a finite number.
    """
    _check_coordinates(atoms)
    dry = atoms.take(~np.isin(atoms.residue_names, list(WATERS)))
    if len(dry) == 0:
        raise InputError("holds no atoms other than water")
    table = ResidueTable(*group_residues(dry))
    components = classify_residues(table)
    return tuple(
        _make_chain(table, components, np.array(members))
        for members in _members_of_chains(table, components)
    )


def _check_coordinates(atoms: AtomTable) -> None:
    for field, values in (
        ("coordinate", atoms.coords),
        ("occupancy", atoms.occupancy[:, None]),
        ("B factor", atoms.b_factor[:, None]),
    ):
        bad = np.flatnonzero(~np.isfinite(values).all(axis=1))
        if len(bad):
            first = bad[0]
            raise InputError(
                f"a {field} of {len(bad)} atoms is missing or not a finite number, first at atom "
                f"{atoms.atom_names[first]} of {atoms.residue_names[first]} "
                f"{atoms.residue_numbers[first]} in chain {atoms.chain_ids[first]!s}"
            )


def _members_of_chains(table: ResidueTable, components: list[Component]) -> list[list[int]]:
    """Give the residues of every chain, chains in order of their first residue."""
    chains: list[list[int]] = []
    open_chain: dict[tuple[str, str], int] = {}
    for stretch in _stretches(table, components):
        kind = components[stretch[0]].kind
        key = (str(table.column("chain_ids")[stretch[0]]), kind)
        known = open_chain.get(key)
        if known is not None and (kind == "ligand" or not _repeats(table, chains[known], stretch)):
            chains[known].extend(stretch)
        else:
            open_chain[key] = len(chains)
            chains.append(list(stretch))
    return chains


def _stretches(table: ResidueTable, components: list[Component]) -> list[list[int]]:
    """Gather the residues of one molecule mark, chain name and kind, in order of the first."""
    chain_ids, molecule = table.column("chain_ids"), table.column("molecule")
    stretches: dict[tuple[str, int, str], list[int]] = {}
    for index, component in enumerate(components):
        key = (str(chain_ids[index]), int(molecule[index]), component.kind)
        stretches.setdefault(key, []).append(index)
    return list(stretches.values())


def _repeats(table: ResidueTable, chain: list[int], stretch: list[int]) -> bool:
    numbers, codes = table.column("residue_numbers"), table.column("insertion_codes")

    def identifiers(members: list[int]) -> set[_ResidueId]:
        return {(int(numbers[index]), str(codes[index])) for index in members}

    return not identifiers(chain).isdisjoint(identifiers(stretch))


def _make_chain(
    table: ResidueTable, components: list[Component], members: Int[np.ndarray, " n"]
) -> Chain:
    position = np.full(len(table), -1)
    position[members] = np.arange(len(members))
    place = position[table.residue_index]
    chosen = np.flatnonzero(place >= 0)
    # Stretches of one chain may come in another order than their atoms stand in the file.
    chosen = chosen[np.argsort(place[chosen], kind="stable")]
    atoms, first = table.atoms.take(chosen), table.first_atoms[members]
    return Chain(
        chain_id=str(table.atoms.chain_ids[first[0]]),
        kind=components[members[0]].kind,
        sequence="".join(components[index].letter for index in members),
        residue_names=table.atoms.residue_names[first],
        residue_numbers=table.atoms.residue_numbers[first],
        insertion_codes=table.atoms.insertion_codes[first],
        atom_names=atoms.atom_names,
        elements=atoms.elements,
        coords=atoms.coords,
        occupancy=atoms.occupancy,
        b_factor=atoms.b_factor,
        atom_residue_index=place[chosen],
    )
