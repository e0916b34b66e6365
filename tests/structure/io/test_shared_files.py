"""Every shared structure file loads as its manifest says, or gives its one-line reason."""

import csv
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from foldwright.runtime.errors import InputError
from foldwright.structure.io import read_structure
from foldwright.structure.records import Chain, Structure

# What the manifest's program (gemmi, with a shorter residue table) counted otherwise:
# file -> column -> (manifest, here).
COUNTED_OTHERWISE = {
    "1bf4.pdb": {"nuc": (15, 16), "lig": (1, 0)},  # bromouridine is a nucleotide
    "2hw3.cif.gz": {"nuc": (23, 24), "lig": (11, 10)},  # so is a dideoxynucleotide
    "5gob.pdb": {"aa": (149, 150), "lig": (1, 0)},  # a rare D-amino acid
    "8jjs.cif": {"aa": (177, 180), "lig": (8, 5)},  # rare amino acids of a cyclic peptide
    "1a4w.pdb": {"aa": (284, 283), "lig": (5, 6)},  # an inhibitor beside the chains
    "1a4w.cif": {"aa": (284, 283), "lig": (5, 6)},
    "5pti_old.pdb": {"aa": (59, 58), "lig": (1, 2), "unk": (1, 0), "bb_missing": (1, 0)},  # UNK ion
    "1ejg.pdb": {"aa": (48, 46), "maxchain": (48, 46), "bb_missing": (2, 0)},  # one name a position
    "3jqh.cif": {"aa": (26, 23), "maxchain": (26, 23)},
}
SAME_ENTRY = [
    ("1crn.pdb", "1crn.cif", "1crn.cif.gz"),
    ("5pti.pdb", "5pti.cif", "5pti.bcif"),
    ("1a4w.pdb", "1a4w.cif", "1a4w.bcif"),
    ("4i39.cif", "4i39.bcif"),
    ("2axd.pdb", "2axd.bcif"),
    ("3jqh.cif", "3jqh.bcif.gz"),
]


@pytest.fixture(scope="module")
def files(shared_data: Path) -> Path:
    return shared_data / "files"


@pytest.fixture(scope="module")
def manifest(files: Path) -> dict[str, dict[str, str]]:
    with (files / "manifest.csv").open() as handle:
        return {row["file"]: row for row in csv.DictReader(handle)}


@cache
def load(path: Path) -> Structure:
    """Read the first model of a file once for all tests here."""
    return read_structure(path)


def count(structure: Structure) -> dict[str, int]:
    """The manifest's columns, counted in a record."""
    protein = structure.protein_chains
    residues = {
        kind: sum(len(chain) for chain in structure.chains if chain.kind == kind)
        for kind in ("nucleic", "ligand")
    }
    return {
        "models": structure.num_models,
        "aa": sum(map(len, protein)),
        "maxchain": max(map(len, protein), default=0),
        "mse": sum(int((chain.residue_names == "MSE").sum()) for chain in protein),
        "unk": sum(int((chain.residue_names == "UNK").sum()) for chain in protein),
        "bb_missing": sum(int(np.isnan(c.backbone()).any(axis=(1, 2)).sum()) for c in protein),
        "icode": sum(int((chain.insertion_codes != "").sum()) for chain in protein),
        "negnum": sum(int((chain.residue_numbers < 0).sum()) for chain in protein),
        "nuc": residues["nucleic"],
        "lig": residues["ligand"],
    }


def test_every_file_loads_as_the_manifest_says_or_gives_its_reason(
    files: Path, manifest: dict[str, dict[str, str]]
) -> None:
    assert len(manifest) == 70
    wrong, refused = {}, {}
    for name, row in manifest.items():
        try:
            structure = load(files / name)
        except InputError as error:
            refused[name] = str(error)
            continue
        differing = {
            column: (int(row[column]), here)
            for column, here in count(structure).items()
            if row[column] != "" and int(row[column]) != here
        }
        if differing != COUNTED_OTHERWISE.get(name, {}):
            wrong[name] = differing
    assert wrong == {}
    assert refused == {
        "4cup.mmtf": f"{files / '4cup.mmtf'}: is in the retired format MMTF; "
        "get the entry as mmCIF or BinaryCIF"
    }


def test_header_facts_are_those_of_the_manifest(
    files: Path, manifest: dict[str, dict[str, str]]
) -> None:
    for name, row in manifest.items():
        if not row["aa"]:
            continue
        structure = load(files / name)
        assert (structure.resolution or 0.0) == pytest.approx(float(row["resol"]), abs=0.006), name
        assert (structure.method or "").split("; ")[0] == row["method"].split(";")[0], name


@pytest.mark.parametrize("names", SAME_ENTRY, ids=lambda names: names[0].split(".")[0])
def test_one_entry_in_several_formats(files: Path, names: tuple[str, ...]) -> None:
    first, *others = (load(files / name) for name in names)
    for other in others:
        assert (other.name, other.method, other.num_models) == (
            first.name,
            first.method,
            first.num_models,
        )
        assert len(other.protein_chains) == len(first.protein_chains)
        for mine, theirs in zip(first.protein_chains, other.protein_chains, strict=True):
            assert_same_chain(mine, theirs)


def assert_same_chain(one: Chain, other: Chain) -> None:
    assert (one.chain_id, one.kind, one.sequence) == (other.chain_id, other.kind, other.sequence)
    for name in ("residue_names", "residue_numbers", "insertion_codes", "atom_residue_index"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)
    for name in ("atom_names", "elements", "coords", "occupancy", "b_factor"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)


def test_models_of_an_ensemble_differ_in_coordinates_only(files: Path) -> None:
    first, last = (read_structure(files / "2axd.bcif", model=model) for model in (1, 12))
    assert first.num_models == last.num_models == 12
    one, other = first.protein_chains[0], last.protein_chains[0]
    assert one.sequence == other.sequence
    assert 0.1 < np.linalg.norm(one.ca - other.ca, axis=1).max() < 60.0
    with pytest.raises(InputError, match="has no model 13: it holds 12"):
        read_structure(files / "2axd.bcif", model=13)


def test_peculiar_entries(files: Path) -> None:
    ca_only = read_structure(files / "1a1d.cif.gz").protein_chains[0]
    assert np.isfinite(ca_only.ca).all()
    assert np.isnan(ca_only.backbone()[:, [0, 2, 3]]).all()
    assert ca_only.breaks().tolist() == []
    assert read_structure(files / "304d.pdb").protein_chains == ()
    assert read_structure(files / "1hh0_4char.cif.gz").chains[0].chain_id == "ABCD"
    assert read_structure(files / "1glaG_blankchain.pdb").chains[0].chain_id == ""
    phosphorylated = read_structure(files / "1ir3.pdb").protein_chains[0]
    assert phosphorylated.sequence[list(phosphorylated.residue_names).index("PTR")] == "Y"
    mirror = read_structure(files / "5gob.pdb").protein_chains[1]
    assert "DLE" in mirror.residue_names
    assert "X" not in mirror.sequence
    fluorescent = read_structure(files / "1ema.cif").protein_chains[0]
    assert fluorescent.sequence[list(fluorescent.residue_names).index("CRO")] == "X"


def test_chains_agree_with_those_another_program_read(shared_data: Path, files: Path) -> None:
    """The shared training chains that were cut from one of these very files."""
    with (files / "manifest.csv").open() as handle:
        file_at = {(r["repository"], r["path"]): r["file"] for r in csv.DictReader(handle)}
    arrays = np.load(shared_data / "structures" / "chains_00.npz")
    coords, offsets = arrays["coords"], arrays["offsets"]
    numbers, codes = arrays["resnum"], arrays["icode"]
    with (shared_data / "structures" / "index.csv").open() as handle:
        rows = [r for r in csv.DictReader(handle) if (r["repository"], r["file"]) in file_at]
    assert len(rows) >= 10
    for row in rows:
        structure = load(files / file_at[row["repository"], row["file"]])
        chain = next(c for c in structure.protein_chains if c.chain_id == row["chain"])
        part = slice(offsets[int(row["index"])], offsets[int(row["index"]) + 1])
        start = chain.sequence.find(row["sequence"])
        here = slice(start, start + int(row["length"]))
        assert start >= 0, row["name"]
        np.testing.assert_array_equal(chain.residue_numbers[here], numbers[part])
        letters = [chr(code).strip() for code in codes[part]]
        assert chain.insertion_codes[here].tolist() == letters
        np.testing.assert_allclose(chain.backbone()[here], coords[part], atol=5e-4)
        inside = [b for b in chain.breaks() if here.start <= b < here.stop - 1]
        assert inside == [], row["name"]
