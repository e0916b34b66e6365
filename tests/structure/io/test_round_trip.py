"""Records survive PDB and mmCIF to the last printed digit; another program reads the same."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from foldwright.chem.residues import MODIFIED_AMINO_ACIDS, THREE_LETTER_NAMES, protein_letter
from foldwright.structure.io import read_structure, write_structure
from foldwright.structure.records import Chain, Structure

SUFFIXES = (".pdb", ".cif", ".cif.gz")
RESIDUE_NAMES = sorted({*THREE_LETTER_NAMES.values(), *MODIFIED_AMINO_ACIDS})
ATOM_NAMES = ("N", "CA", "C", "O", "CB", "OG", "HG11", "H5'", "OXT")
FIELDS = (
    *("residue_names", "residue_numbers", "insertion_codes"),
    *("atom_names", "elements", "atom_residue_index"),
)


@st.composite
def protein_chains(draw: st.DrawFn, chain_ids: str) -> dict[str, Any]:
    """What makes a chain: any numbers, codes, modified residues and atoms, no two residues alike.

    Not the chain itself, because the type checks of the test run are no part of a strategy.
    """
    numbers = draw(
        st.lists(
            st.tuples(st.integers(-999, 9999), st.sampled_from(["", "A", "P"])),
            min_size=1,
            max_size=6,
            unique=True,
        )
    )
    names = [draw(st.sampled_from(RESIDUE_NAMES)) for _ in numbers]
    atoms = [
        (residue, name)
        for residue in range(len(numbers))
        for name in draw(st.lists(st.sampled_from(ATOM_NAMES), min_size=1, unique=True))
    ]
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    count = len(atoms)
    return {
        "chain_id": draw(st.sampled_from(chain_ids)).strip(),
        "kind": "protein",
        "sequence": "".join(protein_letter(name) or "X" for name in names),
        "residue_names": np.array(names),
        "residue_numbers": np.array([number for number, _ in numbers]),
        "insertion_codes": np.array([code for _, code in numbers]),
        "atom_names": np.array([name for _, name in atoms]),
        "elements": np.array([name[0] for _, name in atoms]),
        "coords": np.round(rng.uniform(-990, 4000, (count, 3)), 3),
        "occupancy": np.round(rng.uniform(0, 1, count), 2),
        "b_factor": np.round(rng.uniform(-9, 300, count), 2),
        "atom_residue_index": np.array([residue for residue, _ in atoms]),
    }


def assert_same_chain(one: Chain, other: Chain) -> None:
    assert (one.chain_id, one.kind, one.sequence) == (other.chain_id, other.kind, other.sequence)
    for field in FIELDS:
        np.testing.assert_array_equal(getattr(one, field), getattr(other, field), err_msg=field)
    # Three decimals of a float32 under 4,000 Å name it exactly, so equality is to the bit.
    for field in ("coords", "occupancy", "b_factor"):
        np.testing.assert_array_equal(getattr(one, field), getattr(other, field), err_msg=field)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("round_trip")


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(first=protein_chains("AB"), second=protein_chains("Z0 "))
def test_pdb_to_record_to_mmcif_to_record(
    folder: Path, first: dict[str, Any], second: dict[str, Any]
) -> None:
    chains = (Chain(**first), Chain(**second))
    structure = Structure("1abc", chains, "X-RAY DIFFRACTION", 1.95)
    for suffix in SUFFIXES:
        path = folder / f"chain{suffix}"
        write_structure(structure, path)
        again = read_structure(path)
        assert (again.name, again.method, again.resolution) == (
            "1ABC" if suffix == ".pdb" else "1abc",
            "X-RAY DIFFRACTION",
            1.95,
        )
        assert len(again.chains) == 2
        for one, other in zip(structure.chains, again.chains, strict=True):
            assert_same_chain(one, other)
        structure = Structure("1abc", again.chains, again.method, again.resolution)


def ligands(chain_id: str) -> Chain:
    """A haem's iron, a calcium ion and a free glycine under a protein's chain name."""
    return Chain(
        chain_id=chain_id,
        kind="ligand",
        sequence="XXX",
        residue_names=np.array(["HEM", "CA", "GLY"]),
        residue_numbers=np.array([201, 202, 203]),
        insertion_codes=np.array(["", "", ""]),
        atom_names=np.array(["FE", "NA", "CA", "N", "CA", "C"]),
        elements=np.array(["FE", "N", "CA", "N", "C", "C"]),
        coords=np.arange(18).reshape(6, 3) / 8,
        occupancy=np.ones(6),
        b_factor=np.zeros(6),
        atom_residue_index=np.array([0, 0, 1, 2, 2, 2]),
    )


def nucleotides() -> Chain:
    return Chain(
        chain_id="N",
        kind="nucleic",
        sequence="AT",
        residue_names=np.array(["DA", "DT"]),
        residue_numbers=np.array([-1, 1]),
        insertion_codes=np.array(["", ""]),
        atom_names=np.array(["O3'", "P", "O5'"]),
        elements=np.array(["O", "P", "O"]),
        coords=np.arange(9).reshape(3, 3) / 8,
        occupancy=np.ones(3),
        b_factor=np.zeros(3),
        atom_residue_index=np.array([0, 1, 1]),
    )


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_kinds_of_chains_are_kept_apart(folder: Path, ideal_backbone, suffix: str) -> None:
    protein = Chain.from_backbone(np.round(ideal_backbone(5, -60, -45), 3), "A", "ACDEF")
    structure = Structure("mixed", (protein, nucleotides(), ligands("A")))
    path = folder / f"mixed{suffix}"
    write_structure(structure, path)
    again = read_structure(path)
    assert [chain.kind for chain in again.chains] == ["protein", "nucleic", "ligand"]
    for one, other in zip(structure.chains, again.chains, strict=True):
        assert_same_chain(one, other)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_two_chains_of_one_name_stay_two(folder: Path, ideal_backbone, suffix: str) -> None:
    chain = Chain.from_backbone(ideal_backbone(5, -60, -45), "", "ACDEF")
    path = folder / f"twins{suffix}"
    write_structure(Structure("twins", (chain, chain)), path)
    assert [c.sequence for c in read_structure(path).chains] == ["ACDEF", "ACDEF"]


@pytest.mark.parametrize("chain_id", ["#1", "it's", "_x", "data_1", "a b", '"', "LongName"])
def test_chain_names_that_mmcif_has_to_quote(folder: Path, ideal_backbone, chain_id: str) -> None:
    chain = Chain.from_backbone(ideal_backbone(5, -60, -45), chain_id)
    path = folder / "quoted.cif"
    write_structure(Structure("a name, with; things", (chain,)), path)
    assert read_structure(path).chains[0].chain_id == chain_id
    gemmi = pytest.importorskip("gemmi")
    assert [chain.name for chain in gemmi.read_structure(str(path))[0]] == [chain_id]


@pytest.mark.parametrize("suffix", [".pdb", ".cif"])
def test_another_program_reads_the_same(folder: Path, ideal_backbone, suffix: str) -> None:
    gemmi = pytest.importorskip("gemmi", reason="the cross-check needs gemmi")
    protein = Chain.from_backbone(np.round(ideal_backbone(9, -60, -45), 3), "B", "ACDEFGHIK")
    path = folder / f"theirs{suffix}"
    write_structure(Structure("1abc", (protein, nucleotides(), ligands("B"))), path)
    theirs = gemmi.read_structure(str(path))
    theirs.setup_entities()
    model = theirs[0]
    assert [chain.name for chain in model] == ["B", "N"]
    polymer = model["B"].get_polymer()
    assert gemmi.one_letter_code([residue.name for residue in polymer]) == "ACDEFGHIK"
    assert polymer.check_polymer_type() == gemmi.PolymerType.PeptideL
    assert model["N"].get_polymer().check_polymer_type() == gemmi.PolymerType.Dna
    assert [residue.name for residue in model["B"].get_ligands()][:2] == ["HEM", "CA"]
    positions = [tuple(atom.pos) for residue in polymer for atom in residue]
    np.testing.assert_allclose(positions, protein.coords, atol=1e-4)
    elements = [atom.element.name.upper() for residue in model["B"] for atom in residue]
    assert elements == [*protein.elements.tolist(), *ligands("B").elements.tolist()]


def test_real_files_survive_both_formats(shared_data: Path, folder: Path) -> None:
    """Insertion codes, modified residues, nucleic acids, deuterium, D-amino acids, alternatives."""
    names = ("1a4w.bcif", "5ugo.bcif", "6rlx.pdb", "5pti.bcif", "5gob.pdb", "1ejg.pdb", "1aay.pdb")
    for name in names:
        structure = read_structure(shared_data / "files" / name)
        expected = sorted(structure.chains, key=lambda chain: chain.kind == "ligand")
        for suffix in (".pdb", ".cif"):
            path = folder / f"real{suffix}"
            write_structure(structure, path)
            again = read_structure(path)
            found = sorted(again.chains, key=lambda chain: chain.kind == "ligand")
            assert len(found) == len(expected)
            for one, other in zip(expected, found, strict=True):
                assert_same_chain(one, other)
