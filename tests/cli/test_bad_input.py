"""Everything a user may hand over by mistake: one clear line, the right exit code, nothing lost."""

import csv
import errno
import json
import os
import shutil
from pathlib import Path

import pytest
import yaml

from foldwright.cli.main import main
from foldwright.data.store import ChainStore
from tests.cli.test_train import TINY
from tests.data.sample_chains import folder_bytes, helix_chain, write_chains
from tests.models.backbone.chain_stores import make_store

NAN_ATOM = "ATOM      2  CA  ALA A   1         nan   0.000   0.000  1.00  0.00           C\n"
ION = "HETATM    1 ZN    ZN A   1       0.000   0.000   0.000  1.00  0.00          ZN\n"
WRONG_FILES = {
    "empty.pdb": ("", "the file is empty"),
    "page.cif": ("<html>404 Not Found</html>", "holds no ATOM or HETATM lines"),
    "half.cif": ("data_x\n", "has no atom_site table"),
    "nan.pdb": (NAN_ATOM, "a coordinate of 1 atoms is missing or not a finite number"),
}


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """Two good structures among wrong ones."""
    folder = tmp_path / "raw"
    for number in range(2):
        write_chains(folder / f"good{number}.pdb", helix_chain(40 + number, seed=number))
    for name, (text, _) in WRONG_FILES.items():
        (folder / name).write_text(text)
    (folder / "ion.pdb").write_text(ION)
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small training run of two steps: `config.yaml`, `store` and `run` with checkpoints."""
    folder = tmp_path_factory.mktemp("bad")
    make_store(folder / "store", {"train": [12, 16]})
    content = {
        "store": str(folder / "store"),
        "genie": TINY,
        "diffusion": {"num_steps": 20},
        "chains": {"min_length": 10, "max_batch": 2},
        "training": {"max_steps": 2, "device": "cpu", "checkpoint": {"every_steps": 1}},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(content))
    assert main(["train", "backbone", str(folder / "config.yaml"), "--out", f"{folder}/run"]) == 0
    return folder


def refusal(capsys: pytest.CaptureFixture[str], *words: str | Path) -> str:
    """The one line that a refused command prints; everything before it was of others."""
    capsys.readouterr()
    assert main([str(word) for word in words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    lines = [line for line in err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, err
    assert err.splitlines()[-1] == lines[0]
    return lines[0].removeprefix("error: ")


def fill_disk(monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    """Let every flush to the disk fail from one on, as a full disk does."""
    real, calls = os.fsync, []

    def fsync(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) > after:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)


def test_wrong_files_are_lines_of_the_rejects_table(raw: Path, tmp_path: Path) -> None:
    assert main(["data", "prepare", str(raw), "--out", str(tmp_path / "store")]) == 0
    with (tmp_path / "store/rejects.csv").open(newline="") as file:
        reasons = {row["file"]: row["reason"] for row in csv.DictReader(file)}
    assert reasons.keys() == {*WRONG_FILES, "ion.pdb"}
    assert all(reasons[name].startswith(text) for name, (_, text) in WRONG_FILES.items())
    assert reasons["ion.pdb"] == "holds no protein chain"
    assert len(ChainStore.open(tmp_path / "store")) == 2


def test_wrong_files_are_failures_of_an_evaluation(
    raw: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", str(raw), "--json"]) == 1
    answer = json.loads(capsys.readouterr().out)
    reasons = {failure["file"]: failure["reason"] for failure in answer["failures"]}
    assert reasons.keys() == {*WRONG_FILES, "ion.pdb"}
    assert all(reasons[name].startswith(text) for name, (_, text) in WRONG_FILES.items())
    assert "no protein chain to score" in reasons["ion.pdb"]
    assert answer["designs"] == 2


def test_chains_without_any_c_alpha_are_left_out(tmp_path: Path) -> None:
    """What would be a mask of zeros never becomes a chain of a store."""
    raw = tmp_path / "raw"
    write_chains(raw / "good.pdb", helix_chain(40))
    lines = (raw / "good.pdb").read_text().splitlines(keepends=True)
    (raw / "blind.pdb").write_text("".join(line for line in lines if line[12:16] != " CA "))
    assert main(["data", "prepare", str(raw), "--out", str(tmp_path / "store")]) == 0
    with (tmp_path / "store/rejects.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["chain"], row["rule"]) == ("blind_A", "missing-ca")
    assert "40 of 40 residues have no CA" in row["reason"]


def test_store_of_another_version(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = tmp_path / "store"
    shutil.copytree(run / "store", store)
    info = json.loads((store / "store.json").read_text())
    (store / "store.json").write_text(json.dumps(info | {"version": 99}))
    line = f"{store}: a store of version 99, written by {info['created_by']}; this program reads"
    assert refusal(capsys, "data", "inspect", store).startswith(line)
    words = ("train", "backbone", run / "config.yaml", f"store={store}", "--out", tmp_path / "run")
    assert refusal(capsys, *words).startswith(line)
    assert not (tmp_path / "run").exists()


def test_damaged_store(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = tmp_path / "store"
    shutil.copytree(run / "store", store)
    with (store / "ca.npy").open("r+b") as file:
        file.seek(200)
        file.write(b"\x00\x01\x02\x03")
    assert "ca.npy" in refusal(capsys, "data", "inspect", store, "--verify")


def test_damaged_checkpoint(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The damaged one is named, and the one before it, from which the run can go on."""
    out = tmp_path / "run"
    shutil.copytree(run / "run", out)
    damaged = out / "checkpoints/step_00000002/model.safetensors"
    data = bytearray(damaged.read_bytes())
    data[-1] ^= 1
    damaged.write_bytes(data)
    words = ("train", "backbone", run / "config.yaml", "training.max_steps=3", "--out", out)
    line = refusal(capsys, *words)
    assert "model.safetensors" in line
    assert "step_00000001" in line
    resumed = [*map(str, words), "--resume-from", str(out / "checkpoints/step_00000001")]
    assert main(resumed) == 0


def test_damaged_weights(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for suffix in (".safetensors", ".json"):
        shutil.copy(run / f"run/last{suffix}", tmp_path / f"mine{suffix}")
    weights = tmp_path / "mine.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    words = ("design", "--weights", weights, "--length", "24", "--out", tmp_path / "out")
    assert "mine.safetensors" in refusal(capsys, *words)
    weights.write_bytes(data[:-50])
    assert "mine.safetensors" in refusal(capsys, *words)
    assert not (tmp_path / "out").exists()


def test_unknown_keys_and_wrong_values_of_settings(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("train", "backbone", run / "config.yaml", "--out", tmp_path / "run")
    line = refusal(capsys, *words, "training.optimiser.learning_rat=1")
    assert line.endswith("did you mean training.optimiser.learning_rate?")
    assert "found 'many', expected" in refusal(capsys, *words, "training.max_steps=many")
    assert "No such file" in refusal(capsys, *words[:2], tmp_path / "no.yaml", *words[3:])


def test_a_gpu_that_is_not_there(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    device, out = "cuda:77", tmp_path / "out"
    line = refusal(capsys, "design", "--device", device, "--length", "24", "--out", out)
    assert line.startswith("device 'cuda:77' was asked for, but this machine has ")
    words = ("train", "backbone", run / "config.yaml", f"training.device={device}", "--out", out)
    assert refusal(capsys, *words) == line


def test_lengths_beyond_the_model(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("design", "--weights", run / "run/last.safetensors", "--out", tmp_path / "out")
    line = refusal(capsys, *words, "--length", "24-33")
    assert line.startswith("--length: these weights know chains of up to 32 residues: got 33;")
    words = ("train", "backbone", run / "config.yaml", "--out", tmp_path / "run")
    line = refusal(capsys, *words, "chains.min_length=33")
    assert "33" in line


def test_a_disk_that_fills_up_while_designing(
    run: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    words = ["design", "--weights", str(run / "run/last.safetensors"), "--length", "24"]
    words += ["--steps", "2", "--num", "3", "--device", "cpu", "--out"]
    assert main([*words, str(tmp_path / "whole")]) == 0
    with monkeypatch.context() as patch:
        fill_disk(patch, after=12)  # the record of the run, a design, and a part of the second
        line = refusal(capsys, *words, tmp_path / "out")
    assert "the disk is full" in line
    assert line.endswith("Free some space and run the same command again")
    assert (tmp_path / "out/items/design_00000.json").is_file()
    assert main([*words, str(tmp_path / "out")]) == 0
    assert everything(tmp_path / "out") == everything(tmp_path / "whole")


def test_a_disk_that_fills_up_while_preparing(
    raw: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = tmp_path / "store"
    assert main(["data", "prepare", str(raw), "--out", str(out)]) == 0
    before = folder_bytes(out)
    for after in (0, 4):  # while the item of the changed file is written, and while the store is
        write_chains(raw / "good1.pdb", helix_chain(41, seed=after + 7))
        with monkeypatch.context() as patch:
            fill_disk(patch, after)
            assert "the disk is full" in refusal(capsys, "data", "prepare", raw, "--out", out)
        assert folder_bytes(out) == before
        assert list(tmp_path.rglob(".partial-*")) == []


def test_a_disk_that_fills_up_while_training(
    run: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = tmp_path / "run"
    shutil.copytree(run / "run", out)
    before = everything(out / "checkpoints/step_00000002")
    words = ("train", "backbone", run / "config.yaml", "training.max_steps=4", "--out", out)
    with monkeypatch.context() as patch:
        fill_disk(patch, after=3)
        assert "disk is full" in refusal(capsys, *words)
    assert everything(out / "checkpoints/step_00000002") == before
    assert main([str(word) for word in words]) == 0
    assert (out / "checkpoints/step_00000004").is_dir()


def everything(folder: Path) -> dict[str, bytes]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
