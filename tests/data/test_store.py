import errno
import json
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest

from foldwright.data import store as store_module
from foldwright.data.store import ChainStore, NewChain, StoreWriter
from foldwright.data.store_format import NpyStream
from foldwright.runtime.errors import FoldwrightError, InputError
from tests.data.sample_chains import FLAT, folder_bytes, new_chain


def write_store(path: Path, *chains: NewChain) -> Path:
    with StoreWriter(path, source="a test") as writer:
        for chain in chains:
            writer.add(chain)
    return path


@pytest.fixture
def small(tmp_path: Path) -> Path:
    chains = [
        replace(new_chain("1abc_A", 7, cluster="x"), resolution=1.5),
        new_chain("1abc_B", 3, split="val", cluster="y"),
        new_chain("Ångström", 11, split="test", cluster="x"),
        new_chain("last", 1, cluster="z"),
    ]
    return write_store(tmp_path / "small", *chains)


def edit_info(path: Path, **changes: object) -> None:
    values = json.loads((path / "store.json").read_text())
    (path / "store.json").write_text(json.dumps(values | changes))


def test_every_number_comes_back_as_it_was_written(small: Path) -> None:
    store = ChainStore.open(small)
    expected = [
        new_chain(name, n)
        for name, n in (("1abc_A", 7), ("1abc_B", 3), ("Ångström", 11), ("last", 1))
    ]
    assert len(store) == 4
    assert store.names == tuple(chain.name for chain in expected)
    for found, chain in zip(store, expected, strict=True):
        assert found.name == chain.name
        assert np.array_equal(found.backbone, chain.backbone, equal_nan=True)
        assert np.array_equal(found.ca, chain.backbone[:, 1])
        assert found.sequence == chain.sequence
        assert np.array_equal(found.residue_numbers, chain.residue_numbers)


def test_columns(small: Path) -> None:
    store = ChainStore.open(small)
    assert store.lengths.tolist() == [7, 3, 11, 1]
    assert store.cluster_index.tolist() == [0, 1, 0, 2]
    assert [store.split(name).tolist() for name in ("train", "val", "test")] == [[0, 3], [1], [2]]
    assert np.array_equal(store.column("resolution"), [1.5] + [np.nan] * 3, equal_nan=True)
    assert store.column("strand").tolist() == [FLAT.strand] * 4
    assert store.info.residues == 22
    assert store.info.splits == {"train": 2, "val": 1, "test": 1}
    with pytest.raises(InputError, match="no split 'valid': a store has train, val, test"):
        store.split("valid")
    with pytest.raises(InputError, match="no column 'weight'"):
        store.column("weight")


def test_indices_count_from_both_ends(small: Path) -> None:
    store = ChainStore.open(small)
    assert store[-1].name == "last"
    assert store[np.int64(2)].name == "Ångström"
    for wrong in (4, -5):
        with pytest.raises(IndexError, match=f"chain {wrong} of a store of 4"):
            store[wrong]


def test_a_chain_is_a_copy_that_may_be_changed(small: Path) -> None:
    store = ChainStore.open(small)
    store[0].ca[:] = 0
    assert np.array_equal(store[0].ca, new_chain("1abc_A", 7).backbone[:, 1])


def test_a_store_of_ca_alone_has_no_backbone_file(tmp_path: Path) -> None:
    backbone = np.full((4, 4, 3), np.nan, np.float32)
    backbone[:, 1] = np.arange(12).reshape(4, 3)
    path = write_store(tmp_path / "s", replace(new_chain("a", 4), backbone=backbone))
    assert not (path / "backbone.npy").exists()
    assert np.array_equal(ChainStore.open(path)[0].backbone, backbone, equal_nan=True)


def test_the_arrays_are_plain_npy_files(small: Path) -> None:
    assert np.load(small / "ca.npy").shape == (22, 3)
    assert np.load(small / "backbone.npy").dtype == np.float32
    assert np.load(small / "offsets.npy").tolist() == [0, 7, 10, 21, 22]


def test_the_index_is_for_people(small: Path) -> None:
    lines = (small / "index.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0] == ("index,name,length,split,cluster,resolution,helix,strand,coil,rg,origin")
    assert lines[1] == "0,1abc_A,7,train,x,1.5,0.5,0.25,0.25,10,"


def test_equal_chains_give_equal_bytes(small: Path, tmp_path: Path) -> None:
    again = write_store(
        tmp_path / "again",
        replace(new_chain("1abc_A", 7, cluster="x"), resolution=1.5),
        new_chain("1abc_B", 3, split="val", cluster="y"),
        new_chain("Ångström", 11, split="test", cluster="x"),
        new_chain("last", 1, cluster="z"),
    )
    assert folder_bytes(again) == folder_bytes(small)


def test_a_worker_opens_a_pickled_store(small: Path) -> None:
    pickled = pickle.dumps(ChainStore.open(small))
    assert len(pickled) < 500
    assert pickle.loads(pickled)[2].name == "Ångström"


def test_an_error_while_writing_leaves_nothing(tmp_path: Path) -> None:
    def interrupted() -> None:
        with StoreWriter(tmp_path / "s", source="") as writer:
            writer.add(new_chain("a"))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_the_old_store(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = folder_bytes(small)

    def fail(self: NpyStream, rows: np.ndarray) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(NpyStream, "append", fail)
    with pytest.raises(FoldwrightError, match="the disk is full; nothing half-written"):
        write_store(small, new_chain("a"))
    assert folder_bytes(small) == before
    assert list(small.parent.iterdir()) == [small]


def test_a_full_disk_at_the_last_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(errno.EDQUOT, "Disk quota exceeded")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(FoldwrightError, match="the disk is full"):
        write_store(tmp_path / "s", new_chain("a"))
    assert list(tmp_path.iterdir()) == []


def test_a_store_is_replaced_but_nothing_else_is(small: Path, tmp_path: Path) -> None:
    write_store(small, new_chain("only"))
    assert ChainStore.open(small).names == ("only",)
    assert list(tmp_path.iterdir()) == [small]
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("precious")
    with pytest.raises(InputError, match="is not a store and will not be overwritten"):
        StoreWriter(tmp_path / "thesis", source="")
    (tmp_path / "empty").mkdir()
    write_store(tmp_path / "empty", new_chain("only"))


def test_a_failed_rename_puts_the_old_store_back(
    small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, real_rename = folder_bytes(small), Path.rename

    def refuse_the_new_one(self: Path, target: Path) -> Path:
        if self.name.startswith(".partial") and not self.name.endswith("-old"):
            raise OSError(errno.EIO, "Input/output error")
        return real_rename(self, target)

    monkeypatch.setattr(Path, "rename", refuse_the_new_one)
    with pytest.raises(FoldwrightError, match="cannot be written: Input/output error"):
        write_store(small, new_chain("only"))
    assert folder_bytes(small) == before
    assert list(small.parent.iterdir()) == [small]


def test_no_chain_no_store(tmp_path: Path) -> None:
    def write_rejects() -> None:
        with StoreWriter(tmp_path / "s", source="") as writer:
            writer.reject("a.pdb", "a_A", "too-short", "5 residues, shorter than 40")
            writer.reject("b.pdb", "b_A", "too-short", "6 residues, shorter than 40")
            writer.reject("c.pdb", "", "unreadable", "the file is empty")

    with pytest.raises(InputError, match="no chain was accepted") as caught:
        write_rejects()
    assert "too-short: rejected 2 times, first a.pdb a_A: 5 residues" in str(caught.value)
    assert "unreadable: rejected 1 times, first c.pdb: the file is empty" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_name_is_taken_once(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="chain 'a': is in the store already"):
        write_store(tmp_path / "s", new_chain("a", 3), new_chain("a", 4))


def test_all_problems_of_a_chain_are_told_together() -> None:
    good = new_chain("a", 5)
    holed = good.backbone.copy()
    holed[3, 1, 0] = np.nan
    with pytest.raises(InputError) as caught:
        replace(good, backbone=holed, split="valid", sequence="AC", cluster="")
    text = str(caught.value)
    for part in (
        "CA of 1 residues is NaN, first at [3]",
        "2 letters and 5 residue numbers for 5 residues",
        "the split 'valid' is not one of train, val, test",
        "chain and cluster need a name",
    ):
        assert part in text


def test_there_must_be_a_store(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist; give a folder"):
        ChainStore.open(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"holds no store\.json: not a store"):
        ChainStore.open(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": 2}, "a store of version 2, written by .*; this program reads version 1"),
        ({"format": "zarr"}, "got the format 'zarr', expected 'foldwright-chain-store'"),
        ({"chains": "many"}, "chains"),
        ({"colour": "blue"}, "colour"),
    ],
)
def test_a_store_from_elsewhere(small: Path, changes: dict[str, object], message: str) -> None:
    edit_info(small, **changes)
    with pytest.raises(InputError, match=message):
        ChainStore.open(small)


def test_store_json_is_damaged(small: Path) -> None:
    (small / "store.json").write_text('{"format": "foldwr')
    with pytest.raises(InputError, match=r"store\.json: cannot be read"):
        ChainStore.open(small)


def test_truncated_and_missing_files_are_told_together(small: Path) -> None:
    whole = (small / "ca.npy").read_bytes()
    (small / "ca.npy").write_bytes(whole[:-4])
    (small / "offsets.npy").unlink()
    with pytest.raises(InputError) as caught:
        ChainStore.open(small)
    text = str(caught.value)
    assert f"ca.npy: has {len(whole) - 4} bytes, expected {len(whole)} bytes" in text
    assert "offsets.npy: is missing" in text


def test_an_array_of_another_shape(small: Path) -> None:
    np.save(small / "ca.npy", np.zeros((33, 2), np.float32))
    with pytest.raises(InputError, match=r"holds float32 \(33, 2\), expected float32 \(22, 3\)"):
        ChainStore.open(small)


def test_a_changed_byte_is_found_on_request(small: Path) -> None:
    ChainStore.open(small).verify()
    content = bytearray((small / "sequence.npy").read_bytes())
    content[-1] ^= 1
    (small / "sequence.npy").write_bytes(content)
    store = ChainStore.open(small)
    with pytest.raises(InputError, match=r"sequence\.npy: SHA-256 is .*, expected"):
        store.verify()


def test_nan_in_ca_names_the_chain(small: Path) -> None:
    rows = np.load(small / "ca.npy", mmap_mode="r+")
    rows[8] = np.nan
    rows.flush()
    store = ChainStore.open(small)
    assert store[0].name == "1abc_A"
    with pytest.raises(InputError, match="CA positions of '1abc_B' are not finite"):
        store[1]
    with pytest.raises(InputError, match="CA positions of '1abc_B' are not finite"):
        store.verify()


def test_offsets_that_do_not_fit(small: Path) -> None:
    rows = np.load(small / "offsets.npy", mmap_mode="r+")
    rows[1] = 6
    rows.flush()
    with pytest.raises(InputError, match="offsets do not fit the lengths"):
        ChainStore.open(small).verify()


def test_splits_that_do_not_fit(small: Path) -> None:
    edit_info(small, splits={"train": 3, "val": 0, "test": 1})
    with pytest.raises(InputError, match=r"the splits have .*'val': 1.* expected .*'val': 0"):
        ChainStore.open(small).verify()


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 MB: 1,000 chains of 1,000 residues."""
    chain = new_chain("c", 1000)
    names = [replace(chain, name=f"c{number}") for number in range(1000)]
    return write_store(tmp_path_factory.mktemp("big") / "store", *names)


def resident() -> int:
    return psutil.Process().memory_info().rss


def test_opening_reads_no_arrays(big: Path) -> None:
    before = resident()
    store = ChainStore.open(big)
    assert len(store) == 1000
    assert resident() - before < 4e6


def test_reading_a_whole_store_takes_bounded_memory(
    big: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "_RELEASE_BYTES", 8 << 20)
    store = ChainStore.open(big)
    before, most = resident(), 0
    for number in np.random.default_rng(0).permutation(1000):
        assert len(store[number].ca) == 1000
        most = max(most, resident() - before)
    assert most < 20e6
