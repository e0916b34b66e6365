"""The loop as a whole, on the CPU: what it reaches, and what stopping it anywhere changes."""

import json
import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from foldwright.runtime.errors import FoldwrightError, InputError
from foldwright.training.checkpoint import read_checkpoint
from foldwright.training.config import FitConfig
from foldwright.training.loop import FitResult, fit
from foldwright.training.step import NonFiniteError
from tests.training.processes import start_run
from tests.training.toy_tasks import BrokenTask, DropoutTask, FatalTask, LineTask, SlowTask

BASE = {"max_steps": 20, "log_every": 4, "validate_every": 5, "device": "cpu", "precision": "fp32"}
TIMING = ("samples_per_second", "memory_mb")


def make_config(**changes: object) -> FitConfig:
    return FitConfig.model_validate({**BASE, **changes})


def metrics(out: Path) -> list[dict[str, Any]]:
    lines = (out / "metrics.jsonl").read_text().splitlines()
    return [{k: v for k, v in json.loads(line).items() if k not in TIMING} for line in lines]


def assert_same_run(one: Path, two: Path, step: int) -> None:
    """Bit by bit the same weights, means, optimiser, losses and best result."""
    a, b = (read_checkpoint(out / f"checkpoints/step_{step:08d}") for out in (one, two))
    assert a.tensors.keys() == b.tensors.keys() == {"model", "ema", "optimiser"}
    for part, tensors in a.tensors.items():
        assert tensors.keys() == b.tensors[part].keys()
        assert all(torch.equal(tensors[name], b.tensors[part][name]) for name in tensors), part
    assert a.state == b.state
    assert metrics(one) == metrics(two)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 20 steps that nothing stopped."""
    out = tmp_path_factory.mktemp("whole")
    result = fit(DropoutTask(), make_config(), out)
    assert (result.status, result.step) == ("finished", 20)
    return out


def test_linear_regression_reaches_the_least_squares_answer(tmp_path: Path) -> None:
    task = LineTask()
    config = make_config(
        max_steps=250,
        validate_every=None,
        optimiser={"learning_rate": 0.1},
        schedule={"kind": "cosine", "warmup_steps": 5},
    )
    fit(task, config, tmp_path)
    torch.testing.assert_close(task.module.weight, task.weight, atol=1e-3, rtol=0)
    assert abs(task.module.bias.item() - task.bias) < 1e-3


def test_killed_at_any_moment_it_goes_on_to_the_same_numbers(tmp_path: Path) -> None:
    checkpoints = {"every_steps": 10, "keep_last": 2}
    killed = start_run(FatalTask, make_config(checkpoint=checkpoints), tmp_path)
    killed.join()
    assert killed.exitcode == -signal.SIGKILL
    assert json.loads((tmp_path / "checkpoints/latest.json").read_text())["step"] == 10
    result = fit(DropoutTask(), make_config(checkpoint=checkpoints), tmp_path)
    assert (result.status, result.step) == ("finished", 20)
    expected = tmp_path / "expected"
    fit(DropoutTask(), make_config(checkpoint=checkpoints), expected)
    assert_same_run(expected, tmp_path, 20)


def test_stopped_in_the_middle_of_a_line_of_metrics(whole: Path, tmp_path: Path) -> None:
    interrupt_after(tmp_path, steps=7)
    fit(DropoutTask(), make_config(), tmp_path)
    assert_same_run(whole, tmp_path, 20)


def interrupt_after(out: Path, steps: int) -> FitResult:
    """Send this process SIGINT while step `steps` is computed."""

    class Interrupted(DropoutTask):
        calls = 0

        def loss(self, batch: Any, generator: torch.Generator) -> Any:
            if self.module.training:
                self.calls += 1
                if self.calls == steps:
                    os.kill(os.getpid(), signal.SIGINT)
            return super().loss(batch, generator)

    result = fit(Interrupted(), make_config(), out)
    assert (result.status, result.step) == ("interrupted", steps)
    return result


def test_ctrl_c_finishes_the_step_and_restores_the_handlers(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGINT)
    result = interrupt_after(tmp_path, steps=3)
    assert read_checkpoint(result.checkpoint).state["step"] == 3
    assert signal.getsignal(signal.SIGINT) is before
    assert json.loads((tmp_path / "summary.json").read_text())["status"] == "interrupted"


def test_sigterm_stops_a_run_with_worker_processes_resumably(tmp_path: Path) -> None:
    config = make_config(max_steps=100000, num_workers=1, log_every=1)
    process = start_run(SlowTask, config, tmp_path)
    while process.is_alive() and not (tmp_path / "metrics.jsonl").exists():
        time.sleep(0.02)
    os.kill(process.pid or 0, signal.SIGTERM)
    process.join()
    answer = json.loads((tmp_path / "answer.json").read_text())
    assert answer["status"] == "interrupted"
    latest = json.loads((tmp_path / "checkpoints/latest.json").read_text())
    assert latest["step"] == answer["step"] < 100000


def test_the_end_of_the_time_budget_stops_resumably(whole: Path, tmp_path: Path) -> None:
    result = fit(DropoutTask(), make_config(max_minutes=1e-6), tmp_path)
    assert (result.status, result.step) == ("out of time", 1)
    fit(DropoutTask(), make_config(), tmp_path)
    assert_same_run(whole, tmp_path, 20)


def test_the_state_of_global_random_numbers_does_not_matter(whole: Path, tmp_path: Path) -> None:
    task = DropoutTask()
    torch.manual_seed(99)
    before = torch.get_rng_state()
    fit(task, make_config(), tmp_path)
    assert torch.equal(torch.get_rng_state(), before), "and is left as it was"
    assert_same_run(whole, tmp_path, 20)


def test_another_seed_gives_other_numbers(whole: Path, tmp_path: Path) -> None:
    fit(DropoutTask(), make_config(seed=1), tmp_path)
    assert metrics(tmp_path)[0]["loss"] != metrics(whole)[0]["loss"]


def test_metrics_have_a_line_for_every_log_and_every_validation(whole: Path) -> None:
    lines = [(row["kind"], row["step"]) for row in metrics(whole)]
    assert sorted(step for kind, step in lines if kind == "train") == [4, 8, 12, 16, 20]
    assert sorted(step for kind, step in lines if kind == "validation") == [5, 10, 15, 20]
    table = (whole / "metrics.csv").read_text().splitlines()
    assert len(table) == len(lines) + 1
    assert {"loss", "absolute", "learning_rate", "gradient_norm", "memory_mb"} <= set(
        table[0].split(",")
    )


def test_a_longer_run_goes_on_from_the_end(whole: Path, tmp_path: Path) -> None:
    fit(DropoutTask(), make_config(max_steps=10, validate_every=5, log_every=5), tmp_path)
    result = fit(DropoutTask(), make_config(max_steps=20, log_every=5), tmp_path)
    assert result.step == 20
    a, b = (read_checkpoint(out / "checkpoints/step_00000020") for out in (whole, tmp_path))
    assert all(torch.equal(a.tensors["model"][k], v) for k, v in b.tensors["model"].items())
    starts = [json.loads(line) for line in (tmp_path / "starts.jsonl").read_text().splitlines()]
    assert [entry["after_step"] for entry in starts] == [0, 10]


def test_a_finished_run_is_left_alone(whole: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in whole.glob("checkpoints/step_*/*")}
    result = fit(DropoutTask(), make_config(), whole)
    assert (result.status, result.step) == ("finished", 20)
    assert {path: path.stat().st_mtime_ns for path in whole.glob("checkpoints/step_*/*")} == before
    assert len((whole / "starts.jsonl").read_text().splitlines()) == 1


class TurningTask(LineTask):
    """The validation loss falls and rises again."""

    losses: Mapping[int, float] = {1: 3.0, 2: 1.0, 3: 2.0, 4: 1.5, 5: 1.0}

    def __init__(self) -> None:
        super().__init__()
        self.validations = 0

    def validation_batches(self) -> Any:
        self.validations += 1
        return [super().validation_batches()[0]]

    def loss(self, batch: Any, generator: torch.Generator) -> Any:
        report = super().loss(batch, generator)
        if self.module.training:
            return report
        value = torch.tensor(self.losses[self.validations])
        return type(report)(value, report.parts)


def test_the_best_checkpoint_is_kept_and_first_among_equals(tmp_path: Path) -> None:
    config = make_config(
        max_steps=10, validate_every=2, checkpoint={"keep_last": 1, "every_steps": 1}
    )
    result = fit(TurningTask(), config, tmp_path)
    assert result.best is not None
    assert (result.best.step, result.best.loss) == (4, 1.0)
    found = sorted(path.name for path in (tmp_path / "checkpoints").glob("step_*"))
    assert found == ["step_00000004", "step_00000010"]
    best = json.loads((tmp_path / "checkpoints/best.json").read_text())
    assert best == {"checkpoint": "step_00000004", "step": 4, "loss": 1.0}


def test_validation_uses_the_mean_weights(tmp_path: Path) -> None:
    task = LineTask()
    config = make_config(max_steps=6, validate_every=6, ema={"decay": 0.9})
    fit(task, config, tmp_path)
    means = read_checkpoint(tmp_path / "checkpoints/step_00000006").tensors["ema"]
    predicted = task.points.x @ means["weight"].T + means["bias"]
    expected = (predicted - task.points.y).square().mean().item()
    row = next(row for row in metrics(tmp_path) if row["kind"] == "validation")
    assert row["loss"] == pytest.approx(expected, rel=1e-5)


def test_a_bad_sample_stops_the_run_and_leaves_the_checkpoint(tmp_path: Path) -> None:
    fit(LineTask(), make_config(max_steps=2, validate_every=None), tmp_path)
    with pytest.raises(NonFiniteError) as caught:
        fit(BrokenTask(13), make_config(validate_every=None), tmp_path)
    message = str(caught.value)
    assert "sample13" in message
    assert "input of the network has 1 non-finite value(s)" in message
    assert f"intact: {tmp_path / 'checkpoints' / 'step_00000002'}" in message
    assert read_checkpoint(tmp_path / "checkpoints/step_00000002").state["step"] == 2


def test_a_bad_validation_sample_is_named(tmp_path: Path) -> None:
    with pytest.raises(NonFiniteError, match=r"validation: loss is nan for sample12, sample13"):
        fit(BrokenTask(13), make_config(max_steps=1, validate_every=1, seed=1), tmp_path)


def test_a_damaged_checkpoint_is_refused_until_another_is_named(tmp_path: Path) -> None:
    config = make_config(checkpoint={"every_steps": 10})
    fit(DropoutTask(), config, tmp_path)
    reference = metrics(tmp_path)
    checkpoints = tmp_path / "checkpoints"
    (checkpoints / "step_00000020/model.safetensors").write_bytes(b"x")
    with pytest.raises(FoldwrightError, match=r"step_00000020/model.safetensors: has 1 bytes"):
        fit(DropoutTask(), config, tmp_path)
    result = fit(DropoutTask(), config, tmp_path, resume_from=checkpoints / "step_00000010")
    assert result.step == 20
    assert metrics(tmp_path) == reference


def test_a_checkpoint_of_another_run_is_refused(whole: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not a checkpoint of this run"):
        fit(DropoutTask(), make_config(), tmp_path, resume_from=whole / "checkpoints/step_00000020")


def test_other_settings_are_refused_and_change_nothing(whole: Path) -> None:
    before = metrics(whole)
    with pytest.raises(InputError, match=r"task\.batch = 4, now it is 5"):
        fit(DropoutTask(batch=5), make_config(max_steps=30), whole)
    assert metrics(whole) == before


def test_learning_rate_and_progress_are_reported(tmp_path: Path) -> None:
    seen: list[Mapping[str, float | str]] = []

    class Watcher:
        def __enter__(self) -> "Watcher":
            return self

        def __exit__(self, *_: object) -> None:
            return None

        def advance(self, steps: int = 1, **fields: float | str) -> None:
            seen.append({"steps": steps, **fields})

        def skip(self, steps: int) -> None:
            seen.append({"steps": steps})

    config = make_config(max_steps=3, schedule={"warmup_steps": 4})
    fit(LineTask(), config, tmp_path, progress=lambda description, total: Watcher())
    assert [entry["steps"] for entry in seen] == [0, 1, 1, 1]
    assert [entry["lr"] for entry in seen[1:]] == pytest.approx([2.5e-5, 5e-5, 7.5e-5])
    names = {"steps", "loss", "mean_loss", "lr", "grad_norm", "memory_mb", "samples/s"}
    assert seen[1].keys() == names
