from dataclasses import replace
from pathlib import Path

import pytest

from foldwright.data.chain_shape import ChainShape, expected_rg
from foldwright.data.inspect import (
    LengthBin,
    RejectCount,
    SplitSummary,
    count_rejects,
    summarise_store,
)
from foldwright.data.store import ChainStore, StoreWriter
from foldwright.runtime.errors import InputError
from tests.data.sample_chains import new_chain


@pytest.fixture
def store(tmp_path: Path) -> ChainStore:
    shapes = [
        ChainShape(1.0, 0.0, 0.0, rg=2 * expected_rg(39)),
        ChainShape(0.0, 0.5, 0.5, rg=expected_rg(40)),
        ChainShape(0.2, 0.1, 0.7, rg=expected_rg(130)),
        ChainShape(0.0, 0.0, 1.0, rg=expected_rg(5000)),
    ]
    chains = [
        replace(new_chain("a", 39, cluster="x"), shape=shapes[0], resolution=1.0),
        replace(new_chain("b", 40, cluster="x"), shape=shapes[1], resolution=2.0),
        replace(new_chain("c", 130, split="val"), shape=shapes[2], resolution=3.5),
        replace(new_chain("d", 5000), shape=shapes[3]),
    ]
    with StoreWriter(tmp_path / "s", source="four chains") as writer:
        for chain in chains:
            writer.add(chain)
        writer.reject("e.pdb", "e_A", "too-short", "3 residues")
        writer.reject("f.pdb", "", "unreadable", "the file is empty")
        writer.reject("g.pdb", "g_B", "unreadable", "cut off, alas")
    return ChainStore.open(tmp_path / "s")


def test_counts(store: ChainStore) -> None:
    summary = summarise_store(store)
    assert (summary.chains, summary.residues, summary.clusters) == (4, 5209, 3)
    assert (summary.shortest, summary.median_length, summary.longest) == (39, 85.0, 5000)
    assert summary.splits == (
        SplitSummary("train", 3, 5079, 2),
        SplitSummary("val", 1, 130, 1),
        SplitSummary("test", 0, 0, 0),
    )


def test_means(store: ChainStore) -> None:
    summary = summarise_store(store)
    assert summary.helix == pytest.approx(0.3)
    assert summary.strand == pytest.approx(0.15)
    assert summary.coil == pytest.approx(0.55)
    assert summary.rg_ratio == pytest.approx(5 / 4)
    known = (summary.resolution_known, summary.resolution_median, summary.resolution_worst)
    assert known == (3, 2.0, 3.5)


def test_histogram_runs_from_the_first_chain_to_the_last(store: ChainStore) -> None:
    lengths = summarise_store(store).lengths
    assert lengths[:5] == (
        LengthBin(1, 39, 1),
        LengthBin(40, 63, 1),
        LengthBin(64, 95, 0),
        LengthBin(96, 127, 0),
        LengthBin(128, 191, 1),
    )
    assert lengths[-1] == LengthBin(4096, None, 1)
    assert sum(bin_.chains for bin_ in lengths) == 4


def test_rejects_by_rule(store: ChainStore) -> None:
    assert summarise_store(store).rejects == (
        RejectCount("unreadable", 2, "f.pdb: the file is empty"),
        RejectCount("too-short", 1, "e_A: 3 residues"),
    )


def test_a_store_without_resolutions(tmp_path: Path) -> None:
    with StoreWriter(tmp_path / "s", source="") as writer:
        writer.add(new_chain("a"))
    summary = summarise_store(ChainStore.open(tmp_path / "s"))
    found = (summary.resolution_known, summary.resolution_median, summary.resolution_worst)
    assert found == (0, None, None)
    assert summary.rejects == ()


def test_something_else_as_rejects_table(tmp_path: Path) -> None:
    (tmp_path / "rejects.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match="is no rejects table"):
        count_rejects(tmp_path / "rejects.csv")
