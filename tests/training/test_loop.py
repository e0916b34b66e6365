"""The loop as a whole, on the CPU."""

import json
from pathlib import Path

import torch
from toy_tasks import DropoutTask, LineTask

from foldwright.training.checkpoint import read_checkpoint
from foldwright.training.config import FitConfig
from foldwright.training.loop import fit

BASE = {"max_steps": 20, "log_every": 1, "validate_every": 5, "device": "cpu"}


def make_config(**changes: object) -> FitConfig:
    return FitConfig.model_validate({**BASE, **changes})


def test_linear_regression_reaches_the_least_squares_answer(tmp_path: Path) -> None:
    task = LineTask()
    config = make_config(
        max_steps=600,
        log_every=100,
        validate_every=None,
        optimiser={"learning_rate": 0.05},
        schedule={"kind": "cosine", "warmup_steps": 10},
    )
    result = fit(task, config, tmp_path)
    assert (result.status, result.step) == ("finished", 600)
    torch.testing.assert_close(task.module.weight, task.weight, atol=1e-4, rtol=0)
    assert abs(task.module.bias.item() - task.bias) < 1e-4


def test_stopping_and_going_on_changes_nothing(tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    fit(DropoutTask(), make_config(max_steps=20), whole)
    fit(DropoutTask(), make_config(max_steps=9), parts)
    result = fit(DropoutTask(), make_config(max_steps=20), parts)
    a = read_checkpoint(whole / "checkpoints/step_00000020")
    b = read_checkpoint(result.checkpoint)
    for part in ("model", "ema", "optimiser"):
        assert a.tensors[part].keys() == b.tensors[part].keys()
        assert all(torch.equal(a.tensors[part][k], b.tensors[part][k]) for k in a.tensors[part])
    rows = [
        [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        for folder in (whole, parts)
    ]
    assert [r["loss"] for r in rows[0] if r["kind"] == "train"] == [
        r["loss"] for r in rows[1] if r["kind"] == "train"
    ]
