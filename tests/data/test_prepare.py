import csv
import errno
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from foldwright.data import prepare as prepare_module
from foldwright.data.clusters import SplitSettings
from foldwright.data.filters import FilterSettings
from foldwright.data.prepare import PrepareReport, find_structure_files, prepare_store
from foldwright.data.prepared_items import FileJob, prepare_file
from foldwright.data.store import ChainStore
from foldwright.runtime.errors import FoldwrightError, InputError
from foldwright.structure.records import Chain
from tests.data.sample_chains import (
    folder_bytes,
    helix_ca,
    helix_chain,
    with_peptide_atoms,
    write_chains,
)

NO_SPLIT = SplitSettings(validation_fraction=0, test_fraction=0)


def prepare(folder: Path, out: Path, **options: object) -> PrepareReport:
    arguments = {"filters": FilterSettings(), "splits": NO_SPLIT} | options
    return prepare_store(folder, out, **arguments)


def rejects(store: Path) -> list[tuple[str, str, str]]:
    with (store / "rejects.csv").open(newline="") as file:
        return [(row["file"], row["chain"], row["rule"]) for row in csv.DictReader(file)]


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    folder = tmp_path / "raw"
    write_chains(folder / "a1.pdb", helix_chain(45, seed=1), resolution=1.9)
    write_chains(folder / "b2.cif", helix_chain(50, seed=2), helix_chain(12, chain_id="B"))
    (folder / "c3.pdb").write_text("<html>404 Not Found</html>")
    write_chains(folder / "deep/d4.cif.gz", helix_chain(60, chain_id="LONG", seed=3))
    write_chains(folder / "deep/e5.pdb", helix_chain(47, seed=4), resolution=6.0)
    write_chains(folder / "f6.pdb", helix_chain(52, seed=5))
    (folder / "notes.txt").write_text("not a structure")
    (folder / ".hidden.pdb").write_text("not looked at")
    return folder


@pytest.fixture
def worked_on(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that are read."""
    files: list[str] = []

    def prepare_and_note(job: FileJob) -> None:
        files.append(job.file)
        prepare_file(job)

    monkeypatch.setattr(prepare_module, "prepare_file", prepare_and_note)
    return files


def test_from_files_to_store(raw: Path, tmp_path: Path) -> None:
    report = prepare(raw, tmp_path / "store")
    store = ChainStore.open(tmp_path / "store")
    assert store.names == ("a1_A", "b2_A", "d4_LONG", "f6_A")
    assert store.lengths.tolist() == [45, 50, 60, 52]
    assert rejects(tmp_path / "store") == [
        ("b2.cif", "b2_B", "too-short"),
        ("c3.pdb", "", "unreadable"),
        ("deep/e5.pdb", "e5_A", "resolution"),
    ]
    assert np.allclose(store[2].ca, helix_ca(60), atol=6e-4)
    assert store[2].sequence == helix_chain(60, seed=3).sequence
    assert store[2].residue_numbers.tolist() == list(range(1, 61))
    assert store.column("resolution")[0] == pytest.approx(1.9)
    assert np.isnan(store.column("resolution")[1])
    assert (report.files, report.chains, report.residues) == (6, 4, 207)
    assert report.rejects == {"too-short": 1, "unreadable": 1, "resolution": 1}
    store.verify()


def test_every_reason_is_one_line(raw: Path, tmp_path: Path) -> None:
    prepare(raw, tmp_path / "store")
    lines = (tmp_path / "store" / "rejects.csv").read_text().splitlines()
    assert len(lines) == 4
    assert lines[2].startswith('c3.pdb,,unreadable,"holds no ATOM or HETATM lines')


def test_the_same_bytes_in_any_order_and_by_several_processes(
    raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(raw, tmp_path / "one")
    prepare(raw, tmp_path / "two", workers=2)
    real_walk = os.walk

    def walk_backwards(folder: Path) -> Iterator[tuple[str, list[str], list[str]]]:
        for parent, folders, names in real_walk(folder):
            folders.reverse()
            yield parent, folders, sorted(names, reverse=True)

    monkeypatch.setattr(os, "walk", walk_backwards)
    prepare(raw, tmp_path / "three")
    assert folder_bytes(tmp_path / "one") == folder_bytes(tmp_path / "two")
    assert folder_bytes(tmp_path / "one") == folder_bytes(tmp_path / "three")


def test_a_killed_run_goes_on(raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(raw, tmp_path / "whole")
    done: list[str] = []

    def stop_at_the_fourth(job: FileJob) -> None:
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append(job.file)
        prepare_file(job)

    with monkeypatch.context() as patch:
        patch.setattr(prepare_module, "prepare_file", stop_at_the_fourth)
        with pytest.raises(KeyboardInterrupt):
            prepare(raw, tmp_path / "store")
    assert not (tmp_path / "store").exists()
    report = prepare(raw, tmp_path / "store")
    assert (report.files, report.reused) == (6, 3)
    assert folder_bytes(tmp_path / "store") == folder_bytes(tmp_path / "whole")


def test_only_what_changed_is_read_again(raw: Path, tmp_path: Path, worked_on: list[str]) -> None:
    out = tmp_path / "store"
    prepare(raw, out)
    assert len(worked_on) == 6
    worked_on.clear()
    prepare(raw, out)
    assert worked_on == []
    write_chains(raw / "c3.pdb", helix_chain(41, seed=9))
    prepare(raw, out)
    assert worked_on == ["c3.pdb"]
    assert "c3_A" in ChainStore.open(out).names
    worked_on.clear()
    prepare(raw, out, filters=FilterSettings(max_length=49))
    assert len(worked_on) == 6
    assert ChainStore.open(out).lengths.tolist() == [45, 41]


def test_a_damaged_item_is_made_again(raw: Path, tmp_path: Path) -> None:
    out = tmp_path / "store"
    prepare(raw, out)
    before = folder_bytes(out)
    items = sorted((tmp_path / "store.items").rglob("*.npz"))
    assert len(items) == 6
    items[0].write_bytes(items[0].read_bytes()[:-30])
    items[1].unlink()
    items[2].write_bytes(b"")
    assert prepare(raw, out).reused == 3
    assert folder_bytes(out) == before


def test_a_full_disk_keeps_finished_items(
    raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_savez, calls = np.savez, []

    def full_after_two(*arguments: object, **arrays: np.ndarray) -> None:
        calls.append(1)
        if len(calls) > 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        real_savez(*arguments, **arrays)

    with monkeypatch.context() as patch:
        patch.setattr(np, "savez", full_after_two)
        with pytest.raises(FoldwrightError, match="disk is full"):
            prepare(raw, tmp_path / "store")
    items = [path for path in (tmp_path / "store.items").rglob("*") if path.is_file()]
    assert len(items) == 2
    assert not (tmp_path / "store").exists()
    assert prepare(raw, tmp_path / "store").reused == 2


def test_an_unexpected_error_names_the_file(
    raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: Path) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("foldwright.data.prepared_items.read_structure", fail)
    with pytest.raises(ZeroDivisionError) as caught:
        prepare(raw, tmp_path / "store")
    assert caught.value.__notes__ == [f"while preparing {raw / 'a1.pdb'}"]


def test_cluster_file(raw: Path, tmp_path: Path) -> None:
    clusters = tmp_path / "clusters.tsv"
    clusters.write_text("a1_A\ta1_A\na1_A\td4.cif.gz_LONG\nf6.pdb\tf6.pdb\n")
    prepare(raw, tmp_path / "store", clusters=clusters)
    store = ChainStore.open(tmp_path / "store")
    assert store.names == ("a1_A", "d4_LONG", "f6_A")
    assert store.cluster_index.tolist() == [0, 0, 1]
    assert ("b2.cif", "b2_A", "no-cluster") in rejects(tmp_path / "store")


def test_chains_of_one_cluster_are_in_one_split(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    rows = []
    for number in range(24):
        write_chains(raw / f"p{number:02}.pdb", helix_chain(40, seed=number))
        rows.append(f"c{number // 3}\tp{number:02}_A")
    clusters = tmp_path / "clusters.tsv"
    clusters.write_text("\n".join(rows))
    splits = SplitSettings(validation_fraction=0.3, test_fraction=0.3)
    prepare(raw, tmp_path / "store", clusters=clusters, splits=splits)
    store = ChainStore.open(tmp_path / "store")
    by_cluster = store.column("split").reshape(8, 3)
    assert (by_cluster == by_cluster[:, :1]).all()
    assert len(np.unique(by_cluster)) == 3


def test_more_files_change_no_split(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    splits = SplitSettings(validation_fraction=0.4, test_fraction=0.2)
    found = []
    for rounds in (range(5, 15), range(15)):
        for number in rounds:
            write_chains(raw / f"p{number:02}.pdb", helix_chain(40, seed=number))
        prepare(raw, tmp_path / "store", splits=splits)
        store = ChainStore.open(tmp_path / "store")
        found.append(dict(zip(store.names, store.column("split").tolist(), strict=True)))
    assert len(found[1]) == 15
    assert found[0].items() <= found[1].items()
    assert len(set(found[0].values())) > 1


def test_equal_sequences_are_one_cluster(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    for name, seed in (("a", 1), ("b", 2), ("c", 1)):
        write_chains(raw / f"{name}.pdb", helix_chain(40, seed=seed))
    prepare(raw, tmp_path / "store")
    assert ChainStore.open(tmp_path / "store").cluster_index.tolist() == [0, 1, 0]


def test_the_pieces_of_a_chain_are_one_cluster(tmp_path: Path) -> None:
    parts = [with_peptide_atoms(helix_ca(n) + np.array([30.0 * n, 0, 0])) for n in (40, 10, 44)]
    write_chains(tmp_path / "raw/a.pdb", Chain.from_backbone(np.concatenate(parts)))
    prepare(tmp_path / "raw", tmp_path / "store", filters=FilterSettings(split_at_breaks=True))
    store = ChainStore.open(tmp_path / "store")
    assert store.names == ("a_A_1", "a_A_3")
    assert store.cluster_index.tolist() == [0, 0]
    assert rejects(tmp_path / "store") == [("a.pdb", "a_A_2", "too-short")]


def test_the_second_of_a_name_is_rejected(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    write_chains(raw / "a.cif", helix_chain(40))
    write_chains(raw / "a.pdb", helix_chain(41))
    prepare(raw, tmp_path / "store")
    assert ChainStore.open(tmp_path / "store").lengths.tolist() == [40]
    assert rejects(tmp_path / "store") == [("a.pdb", "a_A", "same-name")]


def test_nothing_passes(raw: Path, tmp_path: Path) -> None:
    out = tmp_path / "store"
    prepare(raw, out)
    before = folder_bytes(out)
    with pytest.raises(InputError, match="no chain was accepted") as caught:
        prepare(raw, out, filters=FilterSettings(min_length=300))
    text = str(caught.value)
    assert "too-short: rejected 5 times, first a1.pdb a1_A: 45 residues, shorter" in text
    assert "unreadable: rejected 1 times, first c3.pdb" in text
    assert folder_bytes(out) == before


def test_folders_without_structures(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no folder"):
        prepare(tmp_path / "absent", tmp_path / "store")
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(InputError, match="holds no structure files"):
        prepare(tmp_path, tmp_path / "store")
    with pytest.raises(InputError, match="workers must be 1 or more, got 0"):
        prepare(tmp_path, tmp_path / "store", workers=0)


def test_which_files_count(tmp_path: Path) -> None:
    names = ("1abc.PDB", "1abc.v2.ent.gz", "d1asha_", "x.bcif", "2abc.pdb1", "y.mmcif", "z.mmtf")
    others = ("table.csv", "x.pdb.part", ".lock", "x.npz", "x.gz", ".x.pdb.gz.part")
    for name in names + others:
        (tmp_path / name).touch()
    found = {path.name: stem for path, stem in find_structure_files(tmp_path)}
    stems = ("1abc", "1abc.v2", "d1asha_", "x", "2abc", "y", "z")
    assert found == dict(zip(names, stems, strict=True))


def test_real_files(shared_data: Path, tmp_path: Path) -> None:
    """Lengths as in the manifest of the files; 1ejg and 1crn are the same protein."""
    raw = tmp_path / "raw"
    raw.mkdir()
    for name in ("1crn.cif.gz", "1ejg.pdb", "304d.pdb", "4cup.mmtf", "5pti.bcif"):
        (raw / name).symlink_to(shared_data / "files" / name)
    prepare(raw, tmp_path / "store")
    store = ChainStore.open(tmp_path / "store")
    assert dict(zip(store.names, store.lengths.tolist(), strict=True)) == {
        "1crn_A": 46,
        "1ejg_A": 46,
        "5pti_A": 58,
    }
    assert [row[2] for row in rejects(tmp_path / "store")] == ["no-protein", "unreadable"]
    assert store[0].sequence == "TTCCPSIVARSNFNVCRLPGTPEAICATYTGCIIIPGATCPGDYAN"
    assert np.isfinite(store[0].backbone).all()
