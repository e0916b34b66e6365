"""Small hand-written files with known answers; real files are in test_shared_files."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from foldwright.structure.io import read_structure
from foldwright.structure.records import Structure
from tests.structure.io.file_lines import cif_lines, cif_row, pdb_atom, pdb_residue, write_lines


def read_pdb(folder: Path, *lines: str, model: int = 1) -> Structure:
    return read_structure(write_lines(folder / "made.pdb", lines), model=model)


def summary(structure: Structure) -> list[tuple[str, str, str]]:
    return [(chain.chain_id, chain.kind, chain.sequence) for chain in structure.chains]


def test_fields_of_an_atom_line(tmp_path: Path) -> None:
    line = "HETATM 4711 SE   MSE B -12C   1234.567-123.456   0.001  0.35 99.99          SE  "
    chain = read_pdb(tmp_path, *pdb_residue("ALA", -13, 0.0, chain="B"), line, "TER").chains[0]
    assert (chain.chain_id, chain.sequence) == ("B", "AM")
    assert (chain.residue_numbers[1], chain.insertion_codes[1]) == (-12, "C")
    assert (chain.atom_names[3], chain.elements[3]) == ("SE", "SE")
    np.testing.assert_array_equal(
        chain.coords[3], np.array([1234.567, -123.456, 0.001], dtype=np.float32)
    )
    assert chain.occupancy[3] == np.float32(0.35)
    assert chain.b_factor[3] == np.float32(99.99)


def test_header_facts(tmp_path: Path) -> None:
    head = [
        "HEADER    PLANT PROTEIN                           30-APR-81   1CRN",
        "EXPDTA    X-RAY DIFFRACTION; NEUTRON DIFFRACTION",
        "REMARK   2 RESOLUTION.    1.50 ANGSTROMS.",
    ]
    structure = read_pdb(tmp_path, *head, *pdb_residue("ALA", 1, 0.0))
    assert (structure.name, structure.resolution) == ("1CRN", 1.5)
    assert structure.method == "X-RAY DIFFRACTION; NEUTRON DIFFRACTION"
    bare = read_pdb(tmp_path, *pdb_residue("ALA", 1, 0.0))
    assert (bare.name, bare.method, bare.resolution) == ("made", None, None)


def test_texts_of_every_format_are_plain(tmp_path: Path) -> None:
    facts = ["_entry.id 1ABC", "_exptl.method 'X-RAY DIFFRACTION'"]
    lines = cif_lines([cif_row(), cif_row(id=2, label_seq_id=2, auth_seq_id=2)])
    as_cif = read_structure(write_lines(tmp_path / "made.cif", [lines[0], *facts, *lines[1:]]))
    as_pdb = read_pdb(tmp_path, *pdb_residue("ALA", 1, 0.0))
    assert (as_cif.name, as_cif.method) == ("1ABC", "X-RAY DIFFRACTION")
    for structure in (as_cif, as_pdb):
        (chain,) = structure.chains
        for text in (structure.name, chain.chain_id, chain.kind, chain.sequence):
            assert type(text) is str
    assert type(as_cif.method) is str


def test_the_content_decides_the_format_not_the_suffix(tmp_path: Path) -> None:
    pdb = pdb_residue("ALA", 1, 0.0)
    assert summary(read_structure(write_lines(tmp_path / "d1asha_", pdb))) == [
        ("A", "protein", "A")
    ]
    as_pdb = write_lines(tmp_path / "cif_inside.pdb", cif_lines([cif_row()]))
    assert summary(read_structure(as_pdb)) == [("A", "protein", "A")]
    zipped = tmp_path / "zipped_without_saying_so.ent"
    zipped.write_bytes(gzip.compress(("\n".join(pdb) + "\n").encode()))
    assert read_structure(zipped).name == "zipped_without_saying_so"


def test_letters_outside_ascii_in_remarks(tmp_path: Path) -> None:
    path = tmp_path / "old.pdb"
    text = "REMARK   1 AUTH J.M\xfcLLER\n" + "\n".join(pdb_residue("ALA", 1, 0.0)) + "\n"
    path.write_bytes(text.encode("latin-1"))
    assert summary(read_structure(path)) == [("A", "protein", "A")]


class TestPolymers:
    def test_modified_residues_inside_and_ligands_after_the_end(self, tmp_path: Path) -> None:
        structure = read_pdb(
            tmp_path,
            *pdb_residue("ALA", 1, 0.0),
            *pdb_residue("MSE", 2, 3.8, record="HETATM"),
            *pdb_residue("4BF", 3, 7.6, record="HETATM"),  # only the dictionary knows its parent
            "TER",
            *pdb_residue("GLY", 101, 40.0, record="HETATM"),
            pdb_atom("ZN", "ZN", 102, 50.0, record="HETATM"),
            pdb_atom("O", "HOH", 103, 60.0, record="HETATM"),
        )
        assert summary(structure) == [("A", "protein", "AMY"), ("A", "ligand", "XX")]
        assert structure.chains[1].residue_names.tolist() == ["GLY", "ZN"]

    def test_without_ter_a_bond_tells_a_modified_residue_from_a_ligand(
        self, tmp_path: Path
    ) -> None:
        structure = read_pdb(
            tmp_path,
            *pdb_residue("ALA", 1, 0.0),
            *pdb_residue("MSE", 2, 3.8, record="HETATM"),
            *pdb_residue("GLY", 3, 7.6),
            *pdb_residue("GLY", 101, 60.0, record="HETATM"),
        )
        assert summary(structure) == [("A", "protein", "AMG"), ("A", "ligand", "X")]

    def test_unknown_names_are_protein_if_they_have_a_backbone(self, tmp_path: Path) -> None:
        structure = read_pdb(
            tmp_path,
            *pdb_residue("ALA", 1, 0.0),
            *pdb_residue("UNK", 2, 3.8),
            *pdb_residue("zz9", 3, 7.6),
            pdb_atom("CA", "zz8", 4, 11.4),
            "TER",
        )
        assert summary(structure) == [("A", "protein", "AXX"), ("A", "ligand", "X")]

    def test_ca_only_modified_residue_is_bonded_by_the_ca_distance(self, tmp_path: Path) -> None:
        trace = [
            pdb_atom("CA", "ALA", 1, 0.0),
            pdb_atom("CA", "MSE", 2, 3.8, record="HETATM"),
            pdb_atom("CA", "MSE", 9, 30.0, record="HETATM"),
        ]
        assert summary(read_pdb(tmp_path, *trace)) == [("A", "protein", "AM"), ("A", "ligand", "X")]

    def test_nucleotides_are_chains_of_their_own(self, tmp_path: Path) -> None:
        def nucleotide(name: str, number: int, x: float, record: str) -> list[str]:
            options = {"record": record, "chain": "B"}
            return [
                pdb_atom("P", name, number, x, **options),
                pdb_atom("O3'", name, number, x + 4.9, **options),
            ]

        structure = read_pdb(
            tmp_path,
            *nucleotide("DA", 1, 0.0, "ATOM"),
            *nucleotide("5CM", 2, 6.5, "HETATM"),  # methylated cytidine, bonded
            *nucleotide("DG", 3, 13.0, "ATOM"),
            *nucleotide("5CM", 9, 40.0, "HETATM"),  # a free one
            *pdb_residue("ALA", 1, 0.0),
        )
        assert summary(structure) == [
            ("B", "nucleic", "ACG"),
            ("B", "ligand", "X"),
            ("A", "protein", "A"),
        ]

    def test_numbers_that_come_again_after_ter_start_a_new_chain(self, tmp_path: Path) -> None:
        first = [*pdb_residue("ALA", 1, 0.0, chain=" "), *pdb_residue("CYS", 2, 3.8, chain=" ")]
        second = [*pdb_residue("ASP", 1, 50.0, chain=" "), *pdb_residue("GLU", 2, 53.8, chain=" ")]
        structure = read_pdb(tmp_path, *first, "TER", *second, "TER")
        assert summary(structure) == [("", "protein", "AC"), ("", "protein", "DE")]

    def test_ter_at_a_gap_does_not_cut_a_chain(self, tmp_path: Path) -> None:
        structure = read_pdb(
            tmp_path, *pdb_residue("ALA", 1, 0.0), "TER", *pdb_residue("CYS", 7, 20.0), "TER"
        )
        assert summary(structure) == [("A", "protein", "AC")]
        assert structure.chains[0].breaks().tolist() == [0]

    def test_numbering_alone_makes_no_break(self, tmp_path: Path) -> None:
        chain = read_pdb(
            tmp_path,
            *pdb_residue("ALA", 9, 0.0),
            *pdb_residue("CYS", 5, 3.8),
            *pdb_residue("ASP", 5, 7.6, code="A"),
        ).chains[0]
        assert chain.breaks().tolist() == []
        assert chain.residue_numbers.tolist() == [9, 5, 5]
        assert chain.insertion_codes.tolist() == ["", "", "A"]


class TestAlternatives:
    def test_the_higher_occupancy_stays_for_the_whole_residue(self, tmp_path: Path) -> None:
        chain = read_pdb(
            tmp_path,
            pdb_atom("N", "SER", 1, -1.2),
            pdb_atom("CA", "SER", 1, 0.0, altloc="A", occupancy=0.4),
            pdb_atom("CA", "SER", 1, 0.5, altloc="B", occupancy=0.6),
            pdb_atom("CB", "SER", 1, 1.0, altloc="A", occupancy=0.5),
            pdb_atom("CB", "SER", 1, 1.5, altloc="B", occupancy=0.5),
        ).chains[0]
        assert chain.atom_names.tolist() == ["N", "CA", "CB"]
        assert chain.coords[:, 0].tolist() == np.float32([-1.2, 0.5, 1.5]).tolist()

    def test_among_equals_the_first_label_stays(self, tmp_path: Path) -> None:
        chain = read_pdb(
            tmp_path,
            pdb_atom("CA", "SER", 1, 9.0, altloc="B", occupancy=0.5),
            pdb_atom("CA", "SER", 1, 1.0, altloc="A", occupancy=0.5),
        ).chains[0]
        assert chain.coords[:, 0].tolist() == [1.0]

    def test_a_conformation_without_ca_does_not_win(self, tmp_path: Path) -> None:
        chain = read_pdb(
            tmp_path,
            pdb_atom("CA", "SER", 1, 0.0, altloc="A", occupancy=0.3),
            pdb_atom("CB", "SER", 1, 1.0, altloc="A", occupancy=0.3),
            pdb_atom("CB", "SER", 1, 1.5, altloc="B", occupancy=0.7),
        ).chains[0]
        assert chain.coords[:, 0].tolist() == [0.0, 1.0]

    @pytest.mark.parametrize("interleaved", [True, False])
    def test_two_residue_names_at_one_position(self, tmp_path: Path, interleaved: bool) -> None:
        serine = pdb_residue("SER", 2, 3.8, altloc="A")
        proline = [pdb_atom(n, "PRO", 2, 4.0, altloc="B", occupancy=0.5) for n in ("N", "CA", "C")]
        middle = [line for pair in zip(proline, serine, strict=True) for line in pair]
        chain = read_pdb(
            tmp_path,
            *pdb_residue("ALA", 1, 0.0),
            *(middle if interleaved else proline + serine),
            *pdb_residue("GLY", 3, 7.6),
        ).chains[0]
        assert chain.sequence == "ASG"
        assert chain.residue_names.tolist() == ["ALA", "SER", "GLY"]
        assert len(chain.coords) == 9

    def test_two_residue_names_under_one_label(self, tmp_path: Path) -> None:
        names = {"SER": 0.4, "PRO": 0.6}
        chain = read_pdb(
            tmp_path,
            *(
                pdb_atom("CA", name, 1, share, altloc="A", occupancy=share)
                for name, share in names.items()
            ),
        ).chains[0]
        assert chain.residue_names.tolist() == ["PRO"]
        assert chain.coords[:, 0].tolist() == [np.float32(0.6)]

    def test_alternatives_listed_after_the_chain_join_their_residue(self, tmp_path: Path) -> None:
        chain = read_pdb(
            tmp_path,
            *pdb_residue("ALA", 1, 0.0, altloc="A"),
            *pdb_residue("CYS", 2, 3.8),
            *(pdb_atom(n, "GLY", 1, 9.0, altloc="B", occupancy=0.2) for n in ("N", "CA", "C")),
        ).chains[0]
        assert (chain.sequence, len(chain.coords)) == ("AC", 6)

    def test_two_labels_in_one_mmcif_residue(self, tmp_path: Path) -> None:
        rows = [
            cif_row(label_alt_id="A", occupancy=0.4, Cartn_x=1),
            cif_row(label_alt_id="B", occupancy=0.6, Cartn_x=2, label_comp_id="SER"),
        ]
        path = write_lines(tmp_path / "made.cif", cif_lines(rows))
        chain = read_structure(path).chains[0]
        assert (chain.sequence, chain.coords[0, 0]) == ("S", 2.0)


class TestModels:
    def test_pdb_models(self, tmp_path: Path) -> None:
        lines = [
            *("MODEL        4", *pdb_residue("ALA", 1, 1.0), "TER", "ENDMDL"),
            *("MODEL        9", *pdb_residue("ALA", 1, 2.0), "TER", "ENDMDL"),
        ]
        for model in (1, 2):
            structure = read_pdb(tmp_path, *lines, "END", model=model)
            assert structure.num_models == 2
            assert structure.chains[0].ca[0, 0] == model

    def test_mmcif_models(self, tmp_path: Path) -> None:
        rows = [cif_row(pdbx_PDB_model_num=n, Cartn_x=n) for n in (7, 10)]
        path = write_lines(tmp_path / "made.cif", cif_lines(rows))
        assert [read_structure(path, model=m).chains[0].ca[0, 0] for m in (1, 2)] == [7.0, 10.0]
        assert read_structure(path).num_models == 2


class TestOddPdbLines:
    def test_lines_that_end_after_the_coordinates(self, tmp_path: Path) -> None:
        chain = read_pdb(
            tmp_path,
            *(pdb_atom(name, "MSE", 1, tail="") for name in ("N", "CA", "C")),
            "ATOM      1 SE   MSE A   1       0.000   0.000   0.000",
            "ATOM      1 1HB  MSE A   1       0.000   0.000   0.000",
        ).chains[0]
        assert chain.elements.tolist() == ["N", "C", "C", "SE", "H"]
        assert set(chain.occupancy.tolist()) == {1.0}
        assert set(chain.b_factor.tolist()) == {0.0}

    def test_the_code_and_line_number_of_old_files_are_no_element(self, tmp_path: Path) -> None:
        tail = "  1.00 10.00      1ACB 123"
        structure = read_pdb(
            tmp_path,
            pdb_atom("CA", "ALA", 1, tail=tail),
            f"HETATM    1 CA    CA A   2       0.000   0.000   0.000{tail}",
            f"HETATM    1 FE   HEM A   3       0.000   0.000   0.000{tail}",
            f"HETATM    1  NA  HEM A   3       0.000   0.000   0.000{tail}",
            f"HETATM    1 HO5' LIG A   4       0.000   0.000   0.000{tail}",
        )
        protein, ligand = structure.chains
        assert protein.elements.tolist() == ["C"]
        assert ligand.elements.tolist() == ["CA", "FE", "N", "H"]


class TestOddMmcif:
    def test_author_and_label_identifiers(self, tmp_path: Path) -> None:
        rows = [
            cif_row(label_asym_id="B", label_seq_id=1, auth_asym_id="Heavy", auth_seq_id=-5),
            cif_row(
                label_asym_id="B",
                label_seq_id=2,
                auth_asym_id="Heavy",
                auth_seq_id=-5,
                pdbx_PDB_ins_code="B",
                Cartn_x=3.8,
            ),
        ]
        chain = read_structure(write_lines(tmp_path / "made.cif", cif_lines(rows))).chains[0]
        assert chain.chain_id == "Heavy"
        assert chain.residue_numbers.tolist() == [-5, -5]
        assert chain.insertion_codes.tolist() == ["", "B"]

    def test_label_columns_alone_are_enough(self, tmp_path: Path) -> None:
        gone = ("auth_seq_id", "auth_asym_id", "occupancy", "B_iso_or_equiv", "pdbx_PDB_model_num")
        rows = [cif_row(label_seq_id=n, Cartn_x=3.8 * n) for n in (3, 4)]
        path = write_lines(tmp_path / "made.cif", cif_lines(rows, without=gone))
        structure = read_structure(path)
        chain = structure.chains[0]
        assert (chain.chain_id, chain.residue_numbers.tolist()) == ("A", [3, 4])
        assert (chain.occupancy.tolist(), chain.b_factor.tolist()) == ([1.0, 1.0], [0.0, 0.0])
        assert structure.num_models == 1

    def test_a_free_amino_acid_is_a_ligand(self, tmp_path: Path) -> None:
        rows = [
            cif_row(),
            cif_row(group_PDB="HETATM", label_comp_id="MSE", label_seq_id=2, auth_seq_id=2),
            cif_row(group_PDB="HETATM", label_asym_id="C", label_seq_id=".", auth_seq_id=301),
        ]
        path = write_lines(tmp_path / "made.cif", cif_lines(rows))
        assert summary(read_structure(path)) == [("A", "protein", "AM"), ("A", "ligand", "X")]
