import json
import multiprocessing
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from foldwright.cli.main import main
from foldwright.data.store import ChainStore
from tests.data.sample_chains import (
    folder_bytes,
    helix_ca,
    helix_chain,
    with_peptide_atoms,
    write_chains,
)


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    for number, length in enumerate((40, 45, 70, 20)):
        chain = helix_chain(length, seed=number)
        write_chains(tmp_path / f"raw/p{number}.cif", chain, resolution=2.5)
    return tmp_path / "raw"


def printed(capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    return json.loads(capsys.readouterr().out)


def test_prepare_and_inspect(raw: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "store"
    words = ["--test-fraction", "0", "--validation-fraction", "0", "--json"]
    assert main(["data", "prepare", str(raw), "--out", str(out), *words]) == 0
    report = printed(capsys)
    assert report["splits"] == {"train": 3, "val": 0, "test": 0}
    assert report["rejects"] == {"too-short": 1}
    assert report["rejects_table"] == str(out / "rejects.csv")
    assert main(["data", "inspect", str(out), "--verify", "--json"]) == 0
    summary = printed(capsys)
    assert (summary["chains"], summary["residues"], summary["verified"]) == (3, 155, True)
    assert summary["lengths"] == [
        {"first": 40, "last": 63, "chains": 2},
        {"first": 64, "last": 95, "chains": 1},
    ]
    assert summary["resolution_worst"] == 2.5


def test_a_killed_run_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    """SIGKILL in the middle, then the same command again."""
    for number in range(60):
        write_chains(tmp_path / f"raw/p{number:02}.pdb", helix_chain(60, seed=number))
    words = ["data", "prepare", str(tmp_path / "raw"), "--out"]
    assert main([*words, str(tmp_path / "whole")]) == 0
    out, items = tmp_path / "store", tmp_path / "store.items"
    run = multiprocessing.get_context("fork").Process(target=main, args=([*words, str(out)],))
    run.start()
    deadline = time.monotonic() + 60
    while len(list(items.rglob("[!.]*.npz"))) < 5 and time.monotonic() < deadline:
        time.sleep(0.002)
    assert run.pid is not None
    os.kill(run.pid, signal.SIGKILL)
    run.join()
    assert run.exitcode == -signal.SIGKILL
    kept = {path: path.stat().st_mtime_ns for path in items.rglob("[!.]*.npz")}
    assert 5 <= len(kept) < 60
    assert not out.exists()
    assert main([*words, str(out)]) == 0
    assert folder_bytes(out) == folder_bytes(tmp_path / "whole")
    assert all(path.stat().st_mtime_ns == written for path, written in kept.items())
    assert list(items.rglob(".partial-*")) == []


def test_domains_are_cut(raw: Path, tmp_path: Path) -> None:
    row = "d1,p000,p2.cif,A,A:11-60,a.1\n"
    (raw / "domains.csv").write_text(f"name,pdb_id,file,chains,ranges,classification\n{row}")
    words = ["--domains", str(raw / "domains.csv"), "--min-length", "46"]
    assert main(["data", "prepare", str(raw), "--out", str(tmp_path / "store"), *words]) == 0
    store = ChainStore.open(tmp_path / "store")
    assert (store.names, store[0].residue_numbers[0]) == (("d1",), 11)
    assert store[0].sequence == helix_chain(70, seed=2).sequence[10:60]


def test_limits_reach_the_filters(raw: Path, tmp_path: Path) -> None:
    out = tmp_path / "store"
    words = ["--min-length", "10", "--max-length", "41", "--no-max-resolution"]
    assert main(["data", "prepare", str(raw), "--out", str(out), *words]) == 0
    assert ChainStore.open(out).lengths.tolist() == [40, 20]
    words = ["--max-resolution", "2"]
    assert main(["data", "prepare", str(raw), "--out", str(out), *words]) == 2
    assert ChainStore.open(out).lengths.tolist() == [40, 20]


def test_the_histogram_is_drawn(
    raw: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "store"
    main(["data", "prepare", str(raw), "--out", str(out)])
    capsys.readouterr()
    assert main(["data", "inspect", str(out)]) == 0
    lines = capsys.readouterr().out.splitlines()
    bars = [line.split() for line in lines if line.strip().startswith(("40-63", "64-95"))]
    assert bars == [["40-63", "2", "#" * 40], ["64-95", "1", "#" * 20]]
    assert any("too-short" in line and "p3_A: 20 residues" in line for line in lines)


def test_import(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = with_peptide_atoms(helix_ca(30))[:, :3].reshape(-1, 3)
    (tmp_path / "coords").mkdir()
    with (tmp_path / "coords" / "d1asha_.npy").open("w") as file:
        np.savetxt(file, rows, delimiter=",")
    words = [str(tmp_path / "coords"), "--out", str(tmp_path / "store"), "--json"]
    assert main(["data", "import-legacy", *words]) == 0
    assert printed(capsys)["chains"] == 1
    assert ChainStore.open(tmp_path / "store").names == ("d1asha_",)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["inspect", "absent"], "does not exist"),
        (["prepare", "absent", "--out", "store"], "is no folder"),
        (["import-legacy", "absent", "--out", "store"], "is no folder"),
        (
            ["prepare", "absent", "--out", "s", "--split-at-breaks", "--max-breaks", "1"],
            "leave --max-breaks out, or do not split",
        ),
        (["prepare", "absent", "--out", "s", "--max-coil", "2"], "--max-coil: found '2'"),
    ],
)
def test_bad_input_ends_with_two(
    words: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["data", *words]) == 2
    assert message in capsys.readouterr().err
