"""Peptide stores: what goes in comes out, and damage is named."""

import pickle
from dataclasses import replace

import numpy as np
import pytest

from foldwright.data.peptide_prepare import (
    draw_splits,
    drop_nucleotide_sequences,
    drop_start_residues,
)
from foldwright.data.peptide_store import PeptideStore, write_peptide_store
from foldwright.data.peptide_structures import PeptideStructures, StoredStructure
from foldwright.data.peptide_table import PeptideLimits, PeptideTable
from foldwright.runtime.errors import InputError, Problem

TABLE = PeptideTable(
    sequences=("KKLLKK", "ACDEF", "MNPQRSTVWY"),
    labels=np.array([[1, -1], [0, 1], [-1, 0]], dtype=np.int8),
    label_names=("antimicrobial", "toxic"),
    split=("train", "val", "train"),
    cluster=("c1", "c2", "c1"),
    rejects=(Problem("t.csv, line 4", "is empty"),),
)


def structure(length: int) -> StoredStructure:
    numbers = np.arange(length * 12, dtype=np.float32).reshape(length, 4, 3)
    return StoredStructure(numbers, numbers[..., 0] % 3 > 0, np.full(length, 71.5, np.float32))


def test_what_goes_in_comes_out(tmp_path) -> None:
    known = PeptideStructures({"ACDEF": structure(5), "GGGGG": structure(5)})
    write_peptide_store(TABLE, tmp_path / "s", source="here", structures=known)
    store = PeptideStore.open(tmp_path / "s")
    store.verify()
    assert [store.sequence(i) for i in range(len(store))] == list(TABLE.sequences)
    assert store.lengths.tolist() == [6, 5, 10]
    assert store.labels.tolist() == TABLE.labels.tolist()
    assert store.label_names == TABLE.label_names
    assert store.split("train").tolist() == [0, 2]
    assert store.split("val").tolist() == [1]
    assert store.split("test").tolist() == []
    assert store.cluster_index.tolist() == [0, 1, 0]
    assert store.structure(0) is None
    found = store.structure(1)
    assert np.array_equal(found.backbone, structure(5).backbone)
    assert np.array_equal(found.atom_exists, structure(5).atom_exists)
    assert found.plddt.tolist() == [71.5] * 5
    assert (tmp_path / "s/rejects.csv").read_text().splitlines()[1] == '"t.csv, line 4",is empty'
    again = pickle.loads(pickle.dumps(store))
    assert again.sequence(2) == "MNPQRSTVWY"


def test_a_store_without_structures_has_none(tmp_path) -> None:
    info = write_peptide_store(TABLE, tmp_path / "s", source="here")
    assert info.structures == 0
    assert PeptideStore.open(tmp_path / "s").structure(1) is None
    with pytest.raises(InputError, match="holds a store already"):
        write_peptide_store(TABLE, tmp_path / "s", source="here")
    strangers = PeptideStructures({"GGGGG": structure(5)})
    with pytest.raises(InputError, match="none of the structures belongs"):
        write_peptide_store(TABLE, tmp_path / "t", source="here", structures=strangers)
    assert not (tmp_path / "t").exists()


def test_damage_is_named(tmp_path) -> None:
    write_peptide_store(TABLE, tmp_path, source="here")
    tokens = (tmp_path / "tokens.npy").read_bytes()
    (tmp_path / "tokens.npy").write_bytes(tokens[:-1] + b"\x00")
    store = PeptideStore.open(tmp_path)
    with pytest.raises(InputError, match=r"tokens\.npy: is damaged"):
        store.verify()
    (tmp_path / "tokens.npy").write_bytes(tokens[:-1])
    (tmp_path / "labels.npy").unlink()
    with pytest.raises(InputError) as caught:
        PeptideStore.open(tmp_path)
    assert f"has {len(tokens) - 1} bytes, not {len(tokens)}" in str(caught.value)
    assert "labels.npy: is missing" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "is no peptide store"),
        ("{", "cannot be read"),
        ('{"format": "foldwright-chain-store"}', "no store of peptides"),
        ('{"format": "foldwright-peptide-store", "version": 7}', "a store of version 7"),
    ],
)
def test_other_folders_are_refused(tmp_path, text, message) -> None:
    if text is not None:
        (tmp_path / "store.json").write_text(text)
    with pytest.raises(InputError, match=message):
        PeptideStore.open(tmp_path)


def test_start_residues_of_inactive_peptides_are_dropped() -> None:
    table = replace(
        TABLE,
        sequences=("MKKLLK", "MACDEFG", "MACDEF", "ACDEF", "MACDE"),
        labels=np.array([[1], [0], [-1], [0], [0]], dtype=np.int8),
        label_names=("antimicrobial",),
        split=("train",) * 5,
        cluster=("",) * 5,
    )
    found = drop_start_residues(table, PeptideLimits(min_length=5, max_length=50))
    assert found.sequences == ("MKKLLK", "ACDEFG", "ACDEF")
    assert found.labels[:, 0].tolist() == [1, 0, 0]
    reasons = {problem.place: problem.message for problem in found.rejects[1:]}
    assert "is another peptide" in reasons["MACDEF"]
    assert "is too short" in reasons["MACDE"]


def test_dna_among_peptides_is_dropped() -> None:
    sequences = ("ACGTACGTAC", "ACGTACGTA", "ACGTACGTACK", "GGGGAGAATAAATCC", "KKLLKKLLKK")
    table = PeptideTable(
        sequences, np.arange(5, dtype=np.int8)[:, None] % 2, ("x",), ("train",) * 5, ("",) * 5
    )
    found = drop_nucleotide_sequences(table)
    assert found.sequences == (sequences[1], sequences[2], sequences[4])
    assert found.labels[:, 0].tolist() == [1, 0, 0]
    assert [reject.place for reject in found.rejects] == [sequences[0], sequences[3]]


def test_splits_are_drawn_by_cluster_and_stay_as_the_table_grows() -> None:
    sequences = tuple("A" * k + "C" * (60 - k) for k in range(60))
    clusters = tuple(f"c{k // 2}" for k in range(60))
    labels = np.zeros((60, 1), dtype=np.int8)
    table = PeptideTable(sequences, labels, ("x",), ("",) * 60, clusters)
    split = draw_splits(table, val_share=0.3, seed=1).split
    assert 8 <= split.count("val") <= 28
    assert all(split[k] == split[k + 1] for k in range(0, 60, 2))
    shorter = PeptideTable(sequences[:20], labels[:20], ("x",), ("",) * 20, clusters[:20])
    assert draw_splits(shorter, val_share=0.3, seed=1).split == split[:20]
    assert draw_splits(table, val_share=0.3, seed=2).split != split
    assert draw_splits(TABLE, val_share=0.3, seed=1).split == TABLE.split
