"""Two processes on the CPU train as one does on the union of their batches."""

import functools
import json
import socket
from pathlib import Path

import pytest
import torch

from foldwright.training.checkpoint import read_checkpoint
from foldwright.training.config import FitConfig
from foldwright.training.loop import fit
from tests.training.processes import start_run
from tests.training.toy_tasks import OddTask

# Six steps are two epochs: in the third and the sixth, one process has no batch.
BASE = {"max_steps": 6, "log_every": 1, "validate_every": 6, "device": "cpu"}
NAMES = ("loss", "absolute", "gradient_norm", "samples")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def run_pair(out: Path, bad_sample: int | None = None) -> list[dict[str, str]]:
    """Train with two processes; return what each says about its end."""
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "WORLD_SIZE": "2"}
    processes = [
        start_run(
            functools.partial(OddTask, bad_sample),
            FitConfig.model_validate(BASE),
            out,
            environment={**shared, "RANK": str(rank)},
            answer=f"answer{rank}.json",
        )
        for rank in range(2)
    ]
    for process in processes:
        process.join()
    return [json.loads((out / f"answer{rank}.json").read_text()) for rank in range(2)]


def rows(out: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


def test_two_processes_equal_one_on_the_union_of_their_batches(tmp_path: Path) -> None:
    alone, pair = tmp_path / "alone", tmp_path / "pair"
    assert run_pair(pair) == [{"status": "finished", "step": 6}] * 2
    fit(OddTask(), FitConfig.model_validate({**BASE, "accumulation": 2}), alone)
    a, b = (read_checkpoint(out / "checkpoints/step_00000006") for out in (alone, pair))
    for part in ("model", "ema", "optimiser"):
        for name, tensor in a.tensors[part].items():
            torch.testing.assert_close(b.tensors[part][name], tensor, rtol=1e-5, atol=1e-7)
    for one, two in zip(rows(alone), rows(pair), strict=True):
        known = [name for name in NAMES if name in one]
        assert [two[n] for n in known] == pytest.approx([one[n] for n in known], rel=1e-5)


def test_a_bad_sample_of_one_process_stops_both(tmp_path: Path) -> None:
    for answer in run_pair(tmp_path, bad_sample=13):
        assert answer["error"].startswith("NonFiniteError: step ")
        assert "sample13" in answer["error"]
