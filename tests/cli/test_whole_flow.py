"""From a folder of real structure files to scored designs, every step through the command line."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

FILES = ("1crn.cif", "5pti.pdb", "1pga.pdb", "1tal.pdb", "1ycc.pdb", "1ifc.pdb", "pdb1cbs.ent.gz")
CONFIG = {
    "genie": {
        "max_length": 64,
        **dict.fromkeys(("c_s", "c_p", "c_position", "c_timestep"), 16),
        "c_triangle_multiplication": 8,
        "num_pair_layers": 1,
        "num_structure_layers": 1,
        "c_ipa": 4,
        "num_ipa_heads": 2,
    },
    "diffusion": {"num_steps": 30},
    "chains": {"max_batch": 2, "long_chains": "crop"},
    "training": {
        "max_steps": 60,
        "log_every": 1,
        "validate_every": None,
        "device": "cpu",
        "checkpoint": {"every_steps": 5},
    },
}


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "foldwright", *words]


def run(*words: str) -> dict:
    done = subprocess.run(command(*words, "--json"), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def store(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("flow")
    raw = folder / "raw"
    raw.mkdir()
    for name in FILES:
        shutil.copy(shared_data / "files" / name, raw / name)
    (raw / "broken.pdb").write_text("this is no structure\n")
    run(
        "data", "prepare", str(raw), "--out", str(folder / "store"),
        "--validation-fraction", "0", "--test-fraction", "0",
    )  # fmt: skip
    return folder / "store"


def test_the_broken_file_is_named_among_the_rejects(store: Path) -> None:
    with (store / "rejects.csv").open(newline="") as file:
        rejected = [str(row) for row in csv.DictReader(file)]
    assert any("broken.pdb" in row for row in rejected)
    assert run("data", "inspect", str(store))["chains"] >= 5


def test_killed_training_goes_on_and_its_weights_design(store: Path, tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump({"store": str(store), **CONFIG}))
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    run("train", "backbone", str(config), "--out", str(whole))
    _start_and_kill(config, killed)
    answer = run("train", "backbone", str(config), "--out", str(killed))
    assert (answer["status"], answer["step"]) == ("finished", 60)
    weights = killed / "last.safetensors"
    assert weights.read_bytes() == (whole / "last.safetensors").read_bytes()

    designs = tmp_path / "designs"
    options = ["--length", "30-40", "--num", "2", "--steps", "10", "--seed", "3"]
    answer = run("design", *options, "--weights", str(weights), "--out", str(designs))
    assert (answer["done"], answer["failed"]) == (2, 0)
    assert {path.suffix for path in designs.glob("design_*")} == {".cif", ".pdb"}
    scores = run("evaluate", str(designs))
    assert (scores["designs"], scores["failed"]) == (2, 0)


def _start_and_kill(config: Path, out: Path) -> None:
    """Kill the run for good, with SIGKILL, once it has written a checkpoint."""
    words = command("train", "backbone", str(config), "--out", str(out))
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(words, **quiet) as process:
        deadline = time.monotonic() + 120
        while not list(out.glob("checkpoints/step_*")) and time.monotonic() < deadline:
            assert process.poll() is None, "the run ended before it could be killed"
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
