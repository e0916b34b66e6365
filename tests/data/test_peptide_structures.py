"""Structures by sequence: values, and every bad one by its row."""

from pathlib import Path

import numpy as np
import pytest

from foldwright.data.peptide_structures import PeptideStructures
from foldwright.runtime.errors import InputError

SEQUENCES = ["ACDEF", "KKLLKKL"]


def write(path: Path, sequences=SEQUENCES, lengths=(5, 7), **changes) -> Path:
    total = sum(lengths)
    arrays = {
        "sequence": np.array(sequences),
        "offset": np.concatenate([[0], np.cumsum(lengths)]),
        "coords_centiangstrom": np.arange(total * 42).reshape(total, 14, 3).astype(np.int16),
        "atom_mask": np.ones((total, 14), dtype=bool),
        "plddt_ca": np.linspace(50, 90, total).astype(np.float32),
    }
    arrays |= changes
    np.savez(path, **{name: value for name, value in arrays.items() if value is not None})
    return path


def test_values_by_sequence(tmp_path) -> None:
    structures = PeptideStructures.read(write(tmp_path / "s.npz"))
    assert len(structures) == 2
    assert structures.get("GGGGG") is None
    found = structures.get("KKLLKKL")
    assert found.backbone.shape == (7, 4, 3)
    assert found.backbone[0, 0].tolist() == pytest.approx([2.10, 2.11, 2.12])
    assert found.plddt[-1] == 90.0


def test_wrong_lengths_letters_and_repeats_are_named_together(tmp_path) -> None:
    path = write(tmp_path / "s.npz", ["ACDEF", "KKLLK", "ACXEF", "ACDEF"], (5, 7, 5, 5))
    with pytest.raises(InputError) as caught:
        PeptideStructures.read(path)
    lines = [str(problem).removeprefix(f"{path}, ") for problem in caught.value.problems]
    assert lines[0] == "structure 2: KKLLK has 5 residues, its structure 7; predict it anew"
    assert "structure 3: sequence 'ACXEF'" in lines[1]
    assert "structure 4: ACDEF is there twice" in lines[2]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"plddt_ca": None}, "has no plddt_ca"),
        ({"plddt_ca": np.ones(3, np.float32)}, "plddt_ca has 3 residues, offset says 12"),
        ({"offset": np.array([0, 5])}, "offset has 2 numbers, 2 sequences need one more"),
    ],
)
def test_arrays_that_do_not_belong_together(tmp_path, changes, message) -> None:
    with pytest.raises(InputError, match=message):
        PeptideStructures.read(write(tmp_path / "s.npz", **changes))


def test_files_that_are_no_structures(tmp_path) -> None:
    (tmp_path / "text.npz").write_text("hello")
    for name in ("text.npz", "none.npz"):
        with pytest.raises(InputError, match=r"cannot be read as \.npz"):
            PeptideStructures.read(tmp_path / name)


def test_the_shared_structures_are_chains(shared_data) -> None:
    structures = PeptideStructures.read(shared_data / "peptides/structures.npz")
    assert len(structures) == 2500
    archive = np.load(shared_data / "peptides/structures.npz")
    found = structures.get(str(archive["sequence"][17]))
    steps = np.linalg.norm(np.diff(found.backbone[:, 1], axis=0), axis=-1)
    assert np.abs(steps - 3.8).max() < 0.3
