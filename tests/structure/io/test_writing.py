import gzip
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from foldwright.runtime.errors import InputError
from foldwright.structure.io import read_structure, write_structure
from foldwright.structure.records import Chain, Structure


@pytest.fixture
def chain(ideal_backbone) -> Chain:
    return Chain.from_backbone(ideal_backbone(3, -60, -45), "A", "AGX")


def one_atom(**changes: object) -> Chain:
    backbone = np.full((1, 4, 3), np.nan)
    backbone[0, 1] = [-1.5, 22.25, 999.125]
    return replace(Chain.from_backbone(backbone, "B", "M"), **changes)


def test_columns_of_a_pdb_file(tmp_path: Path) -> None:
    chain = one_atom(
        residue_names=np.array(["MSE"]),
        residue_numbers=np.array([-7]),
        insertion_codes=np.array(["C"]),
        b_factor=np.array([12.345]),
    )
    path = tmp_path / "one.pdb"
    write_structure(Structure("1abc", (chain,), "SOLUTION NMR", 2.5), path)
    lines = path.read_text().splitlines()
    assert {len(line) for line in lines} == {80}
    assert [line.rstrip() for line in lines] == [
        "HEADER                                                        1ABC",
        "EXPDTA    SOLUTION NMR",
        "REMARK   2 RESOLUTION.    2.50 ANGSTROMS.",
        "HETATM    1  CA  MSE B  -7C     -1.500  22.250 999.125  1.00 12.35           C",
        "TER       2      MSE B  -7C",
        "END",
    ]


def test_long_methods_go_over_several_pdb_lines(tmp_path: Path, chain: Chain) -> None:
    method = "; ".join(
        ["X-RAY DIFFRACTION", "NEUTRON DIFFRACTION", "EPR", "SOLUTION SCATTERING", "NMR"]
    )
    path = tmp_path / "long.pdb"
    write_structure(Structure("long", (chain,), method), path)
    assert read_structure(path).method == method


def test_mmcif_of_one_atom_has_what_other_programs_ask_for(tmp_path: Path) -> None:
    path = tmp_path / "one.cif"
    write_structure(Structure("1abc", (one_atom(chain_id="Heavy"),)), path)
    lines = {" ".join(line.split()) for line in path.read_text().splitlines()}
    assert lines >= {
        "data_1abc",
        "_entity.type polymer",
        "_entity_poly.type polypeptide(L)",
        "_entity_poly.pdbx_strand_id Heavy",
        "_entity_poly.pdbx_seq_one_letter_code_can M",
        "_entity_poly_seq.mon_id MET",
        "_struct_asym.id A",
        "_atom_site.label_asym_id A",
        "_atom_site.auth_asym_id Heavy",
        "_atom_site.label_seq_id 1",
        "_atom_site.Cartn_z 999.125",
    }


def test_equal_sequences_are_one_entity_and_every_ligand_its_own_molecule(
    tmp_path: Path, chain: Chain
) -> None:
    ligand = replace(chain, kind="ligand", sequence="XXX", residue_names=np.array(["HEM"] * 3))
    path = tmp_path / "entities.cif"
    twin = replace(chain, chain_id="B")
    write_structure(Structure("entities", (chain, twin, ligand)), path)
    text = path.read_text()
    assert "1 polymer     2\n2 non-polymer 3\n" in text
    assert "A 1\nB 1\nC 2\nD 2\nE 2\n" in text
    assert "A,B" in text


def test_gzipped_bytes_do_not_depend_on_the_time(tmp_path: Path, chain: Chain) -> None:
    structure = Structure("same", (chain,))
    zipped, plain = tmp_path / "zipped.cif.gz", tmp_path / "plain.cif"
    write_structure(structure, zipped)
    write_structure(structure, plain)
    assert zipped.read_bytes()[4:8] == bytes(4)  # where gzip keeps the time
    assert gzip.decompress(zipped.read_bytes()) == plain.read_bytes()


@pytest.mark.parametrize("name", ["a.txt", "a", "a.bcif", "a.gz", "a.pdb.bz2"])
def test_other_suffixes_are_refused(tmp_path: Path, chain: Chain, name: str) -> None:
    with pytest.raises(InputError, match=r"cannot write the format .* use one of \.pdb, \.ent"):
        write_structure(Structure("x", (chain,)), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"chain_id": "AB"}, "chain names have one letter"),
        ({"residue_names": np.array(["A1B2C"])}, "residue names have three letters"),
        ({"atom_names": np.array(["CA123"])}, "atom names have four letters"),
        ({"insertion_codes": np.array(["AB"])}, "insertion codes have one letter"),
        ({"residue_numbers": np.array([10_000])}, "residue numbers run from -999 to 9999"),
        ({"residue_numbers": np.array([-1000])}, "residue numbers run from -999 to 9999"),
        ({"coords": np.array([[0.0, 0.0, -1000.0]])}, "coordinates run from"),
        ({"coords": np.array([[0.0, 10_000.0, 0.0]])}, "coordinates run from"),
        ({"b_factor": np.array([1000.0])}, "occupancies and B factors"),
    ],
)
def test_what_pdb_cannot_hold_is_refused_with_advice(
    tmp_path: Path, changes: dict, message: str
) -> None:
    structure = Structure("big", (one_atom(**changes),))
    with pytest.raises(InputError, match=rf"{message}.* in PDB; write mmCIF \(\.cif\)"):
        write_structure(structure, tmp_path / "big.pdb")
    assert list(tmp_path.iterdir()) == []
    write_structure(structure, tmp_path / "big.cif")


def test_all_limits_are_reported_together(tmp_path: Path) -> None:
    chain = one_atom(chain_id="AB", coords=np.array([[0.0, 1e5, 0.0]]))
    with pytest.raises(InputError) as caught:
        write_structure(Structure("big", (chain,)), tmp_path / "big.pdb")
    assert len(caught.value.problems) == 2
    assert all(str(problem).startswith(str(tmp_path)) for problem in caught.value.problems)


def test_too_many_atoms_for_pdb(tmp_path: Path) -> None:
    chains = tuple(
        Chain.from_backbone(np.zeros((9_000, 4, 3)), chain_id) for chain_id in ("A", "B", "C")
    )
    with pytest.raises(InputError, match="108003 atoms and chain ends, PDB holds 99999"):
        write_structure(Structure("big", chains), tmp_path / "big.pdb")


def test_a_chain_named_like_nothing_is_refused_in_mmcif(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="this name means 'none' in mmCIF"):
        write_structure(Structure("dot", (one_atom(chain_id="."),)), tmp_path / "dot.cif")


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, chain: Chain) -> None:
    path = tmp_path / "kept.pdb"
    write_structure(Structure("old", (chain,)), path)
    before = path.read_bytes()
    with pytest.raises(InputError):
        write_structure(Structure("new", (replace(chain, chain_id="AB"),)), path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
