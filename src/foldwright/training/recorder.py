"""What a run writes beside its checkpoints, by the first process only."""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil
import torch

from foldwright.interop.tensorboard import TensorBoardLog
from foldwright.runtime.files import write_atomic
from foldwright.training.config import FitConfig
from foldwright.training.distributed import Ranks
from foldwright.training.metrics import MetricsFiles, Row
from foldwright.training.precision import PrecisionPolicy
from foldwright.training.provenance import hardware, record_start
from foldwright.training.state import RunState
from foldwright.training.step import StepOutcome


class Recorder:
    """Lines of metrics every `log_every` steps, and the clock of the run."""

    def __init__(self, out_dir: Path, config: FitConfig, ranks: Ranks, resume_step: int) -> None:
        self._out_dir, self._config, self._ranks = out_dir, config, ranks
        self._resume_step = resume_step
        self._start = self._saved = self._step_start = time.monotonic()
        self._seconds, self._samples, self._rate = 0.0, 0, 0.0
        self._mean_loss = 0.0
        self._memory_mb = _memory_mb(ranks.device)
        self._files: MetricsFiles | None = None
        self._board: TensorBoardLog | None = None
        if ranks.is_first:
            self._files = MetricsFiles(out_dir, resume_step)
            if config.tensorboard:
                self._board = TensorBoardLog(out_dir / "tensorboard", resume_step=resume_step)

    def __enter__(self) -> "Recorder":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._board is not None:
            self._board.close()

    def record_start(self, policy: PrecisionPolicy, changes: list[str]) -> None:
        """Note when, where and with what the run starts or goes on."""
        if self._ranks.is_first:
            record_start(
                self._out_dir, self._config, self._ranks, policy, self._resume_step, changes
            )

    def start_step(self) -> None:
        """Start the clock of a step, loading included; validation and saving do not count."""
        self._step_start = time.monotonic()

    def after_step(self, state: RunState, outcome: StepOutcome) -> None:
        """Take in a step, and write a line where it is time."""
        self._seconds += time.monotonic() - self._step_start
        self._samples += outcome.samples
        self._rate = self._samples / self._seconds if self._seconds else 0.0
        numbers = dict(outcome.losses)
        if outcome.applied:
            numbers["gradient_norm"] = outcome.gradient_norm
        state.window.add(numbers)
        self._mean_loss = state.window.mean("loss")
        if state.step % self._config.log_every and state.step < self._config.max_steps:
            return
        self._memory_mb = _memory_mb(self._ranks.device)
        row: Row = {"step": state.step, "epoch": state.position.epoch, "kind": "train"}
        row.update(state.window.take())
        row["learning_rate"] = outcome.learning_rate
        row["samples"] = state.samples
        row["skipped_steps"] = state.skipped_steps
        row["samples_per_second"] = round(self._rate, 3)
        row["memory_mb"] = round(self._memory_mb, 1)
        self._seconds, self._samples = 0.0, 0
        self._write(row)

    def after_validation(self, state: RunState, losses: Mapping[str, float]) -> None:
        """Write the result of a validation."""
        row: Row = {"step": state.step, "epoch": state.position.epoch, "kind": "validation"}
        self._write({**row, **losses})

    def after_save(self) -> None:
        """Start the clock of checkpoints by time anew."""
        self._saved = time.monotonic()

    def minutes_since_save(self) -> float:
        """Minutes since the last checkpoint or the start."""
        return (time.monotonic() - self._saved) / 60.0

    def progress_fields(self, outcome: StepOutcome) -> dict[str, float | str]:
        """Return what a progress bar shows after a step."""
        return {
            "loss": outcome.losses["loss"],
            "mean_loss": self._mean_loss,
            "lr": outcome.learning_rate,
            "grad_norm": outcome.gradient_norm,
            "memory_mb": self._memory_mb,
            "samples/s": self._rate,
        }

    def write_summary(
        self, state: RunState, status: str, checkpoint: Path, num_parameters: int
    ) -> None:
        """Write `summary.json`: how the run ended and where its results are."""
        if not self._ranks.is_first:
            return
        summary: dict[str, Any] = {
            "status": status,
            **{key: value for key, value in state.to_json().items() if key != "window"},
            "checkpoint": str(checkpoint.relative_to(self._out_dir)),
            "num_parameters": num_parameters,
            "device": hardware(self._ranks.device),
            "seconds_since_start": round(time.monotonic() - self._start, 1),
        }
        write_atomic(self._out_dir / "summary.json", json.dumps(summary, indent=1) + "\n")

    def _write(self, row: Row) -> None:
        if self._files is not None:
            self._files.write(row)
        if self._board is not None:
            numbers = {k: v for k, v in row.items() if isinstance(v, int | float)}
            step = int(numbers.pop("step"))
            self._board.write(step, {f"{row['kind']}/{k}": v for k, v in numbers.items()})


def _memory_mb(device: torch.device) -> float:
    """Peak of the allocator on a GPU, memory in use by the process elsewhere."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e6
    if device.type == "mps":
        return torch.mps.driver_allocated_memory() / 1e6
    return float(psutil.Process().memory_info().rss / 1e6)
