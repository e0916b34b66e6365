"""Every damaged or foreign file gives one line that names it and says what is wrong."""

import gzip
import os
from pathlib import Path

import numpy as np
import pytest

from foldwright.runtime.errors import InputError
from foldwright.structure.io import read_structure, write_structure
from foldwright.structure.records import Chain, Structure
from tests.structure.io.file_lines import cif_lines, cif_row, pdb_atom, pdb_residue, write_lines


def message_of(path: Path, *, model: int = 1) -> str:
    """The error's text: one line that begins with the path."""
    with pytest.raises(InputError) as caught:
        read_structure(path, model=model)
    text = str(caught.value)
    assert text.startswith(f"{path}: ")
    assert "\n" not in text
    return text.removeprefix(f"{path}: ")


def test_missing_file_and_folder(tmp_path: Path) -> None:
    assert "No such file" in message_of(tmp_path / "absent.pdb")
    assert "cannot be read" in message_of(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read everything")
def test_no_permission(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "closed.pdb", pdb_residue("ALA", 1, 0.0))
    path.chmod(0)
    assert "Permission denied" in message_of(path)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (b" \n\n", "the file is empty"),
        (gzip.compress(b"", mtime=0), "the file is empty"),
        (b"a shopping list\nmilk\n", "no ATOM or HETATM lines and no mmCIF data block"),
        (b"HEADER    PLANT PROTEIN\nEND\n", "no ATOM or HETATM lines"),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "is binary data, but not BinaryCIF"),
        (b"\xde\x00\x1c\xabmmtfVersion\xa31.0", "retired format MMTF"),
        (b"\x83\xa7encoder\xa1x\xaadataBlocks\x91", "BinaryCIF data is cut off or damaged"),
        (b"data_1ABC\n#\n_entry.id 1ABC\n", "has no atom_site table"),
        (b"data_1ABC\n_atom_site.id 1\n", "has no column 'Cartn_x'"),
        (gzip.compress(b"ATOM" * 1000, mtime=0)[:-20], "gzip data is cut off or damaged"),
        (b"\x1f\x8bnot gzip at all", "gzip data is cut off or damaged"),
    ],
)
def test_foreign_and_damaged_content(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "wrong.pdb"
    path.write_bytes(content)
    assert reason in message_of(path)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (pdb_atom("CA", "ALA", 7).replace("   0.000", "     abc", 1), "x is 'abc', not a number"),
        (pdb_atom("CA", "ALA", 7)[:52], "is cut off: coordinates end at column 54"),
        (pdb_atom("CA", "ALA", 7).replace("   0.000", " " * 8, 1), "x is '', not a number"),
        (
            pdb_atom("CA", "ALA", 7).replace("   0.000", "     nan", 1),
            "atom CA of ALA 7 in chain A",
        ),
        (pdb_atom("CA", "ALA", 7).replace(" 10.00", "******"), "B factor is '******'"),
        (pdb_atom("CA", "ALA", 7).replace("   7 ", "   ? "), "a field of an ATOM or HETATM line"),
        (pdb_atom("O", "HOH", 7, record="HETATM"), "no atoms other than water"),
    ],
)
def test_damaged_pdb_lines(tmp_path: Path, line: str, reason: str) -> None:
    good = [] if "HOH" in line else pdb_residue("ALA", 1, 0.0)
    assert reason in message_of(write_lines(tmp_path / "damaged.pdb", [*good, line]))


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (cif_row(Cartn_y="abc"), "Cartn_y of the atom_site table is 'abc' in a row, not a number"),
        (cif_row(Cartn_y="?"), "a coordinate of 1 atoms is missing"),
        (cif_row(Cartn_z="nan"), "first at atom CA of ALA 1 in chain A"),
        (cif_row(auth_seq_id="x1"), "auth_seq_id of the atom_site table is 'x1'"),
        (cif_row()[:-2], "cut off or malformed"),
    ],
)
def test_damaged_mmcif_rows(tmp_path: Path, row: list[str], reason: str) -> None:
    lines = cif_lines([cif_row(), cif_row()])
    lines.insert(-1, " ".join(row))
    assert reason in message_of(write_lines(tmp_path / "damaged.cif", lines))


def test_mmcif_without_a_coordinate_column(tmp_path: Path) -> None:
    lines = cif_lines([cif_row(), cif_row()], without=("Cartn_y",))
    assert "has no column 'Cartn_y'" in message_of(write_lines(tmp_path / "damaged.cif", lines))


@pytest.mark.parametrize("model", [-1, 0, 3])
def test_a_model_that_is_not_there(tmp_path: Path, model: int) -> None:
    lines = [
        line
        for number in (1, 2)
        for line in (f"MODEL     {number:4}", *pdb_residue("ALA", 1, 0.0), "ENDMDL")
    ]
    rows = [cif_row(pdbx_PDB_model_num=number) for number in (1, 2)]
    for path in (
        write_lines(tmp_path / "two.pdb", lines),
        write_lines(tmp_path / "two.cif", cif_lines(rows)),
    ):
        reason = message_of(path, model=model)
        assert reason == f"has no model {model}: it holds 2; give a number from 1 to 2"


@pytest.mark.parametrize("suffix", [".pdb", ".cif"])
def test_a_file_cut_at_any_byte_loads_or_says_why(tmp_path: Path, suffix: str) -> None:
    """Never another exception, and never more residues than there are."""
    backbone = np.arange(5 * 4 * 3, dtype=np.float64).reshape(5, 4, 3)
    whole = tmp_path / f"whole{suffix}"
    write_structure(Structure("cut", (Chain.from_backbone(backbone),), method="X-RAY"), whole)
    content = whole.read_bytes()
    cut = tmp_path / f"cut{suffix}"
    for size in range(0, len(content), 17):
        cut.write_bytes(content[:size])
        try:
            structure = read_structure(cut)
        except InputError:
            message_of(cut)
        else:
            assert sum(map(len, structure.chains)) <= 5
