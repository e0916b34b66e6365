"""Two processes on the CPU train as one does on the union of their batches."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from foldwright.training.checkpoint import read_checkpoint
from foldwright.training.config import FitConfig
from foldwright.training.loop import fit
from tests.training.train_toy import OddTask

# Six steps are two epochs: in the third, one process has no batch.
BASE = {"max_steps": 6, "log_every": 1, "validate_every": 6, "device": "cpu"}
NAMES = ("loss", "absolute", "gradient_norm", "samples")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def run_pair(out: Path, kind: str) -> list[tuple[int, str]]:
    """Return exit code and standard error of two processes."""
    command = [sys.executable, Path(__file__).parent / "train_toy.py", out, kind, json.dumps(BASE)]
    shared = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(sys.path),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(free_port()),
        "WORLD_SIZE": "2",
        "OMP_NUM_THREADS": "1",
    }
    processes = [
        subprocess.Popen(
            command,
            env={**shared, "RANK": rank},
            stderr=subprocess.PIPE,
            text=True,
            stdout=subprocess.DEVNULL,
        )
        for rank in ("0", "1")
    ]
    try:
        errors = [process.communicate(timeout=500)[1] for process in processes]
    finally:
        for process in processes:
            process.kill()
    return [(p.returncode, error) for p, error in zip(processes, errors, strict=True)]


def rows(out: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.slow
def test_two_processes_equal_one_on_the_union_of_their_batches(tmp_path: Path) -> None:
    alone, pair = tmp_path / "alone", tmp_path / "pair"
    fit(OddTask(), FitConfig.model_validate({**BASE, "accumulation": 2}), alone)
    assert [code for code, _ in run_pair(pair, "odd")] == [0, 0]
    a, b = (read_checkpoint(out / "checkpoints/step_00000006") for out in (alone, pair))
    for part in ("model", "ema", "optimiser"):
        for name, tensor in a.tensors[part].items():
            torch.testing.assert_close(b.tensors[part][name], tensor, rtol=1e-5, atol=1e-7)
    for one, two in zip(rows(alone), rows(pair), strict=True):
        assert [two.get(n) for n in NAMES] == pytest.approx([one.get(n) for n in NAMES], rel=1e-5)


@pytest.mark.slow
def test_a_bad_sample_of_one_process_stops_both(tmp_path: Path) -> None:
    for code, error in run_pair(tmp_path, "broken"):
        assert code == 1
        assert "NonFiniteError" in error
        assert "sample13" in error
