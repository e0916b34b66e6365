"""What all training commands do in the folder of a run: train, keep, and read."""

import json
from pathlib import Path
from typing import Any, Literal, TypeVar

from torch import Tensor

from foldwright.cli.exit_codes import DONE, STOPPED
from foldwright.cli.progress import terminal_progress
from foldwright.runtime.config import Config, dump_config, load_config
from foldwright.runtime.errors import InputError, Problem
from foldwright.runtime.files import write_atomic
from foldwright.runtime.partials import remove_partials
from foldwright.training.archive import CheckpointArchive
from foldwright.training.checkpoint import Checkpoint
from foldwright.training.config import FitConfig
from foldwright.training.loop import FitResult, fit
from foldwright.training.task import Task

Which = Literal["last", "best"]
ExperimentT = TypeVar("ExperimentT", bound=Config)

_CONFIG_NAME = "config.yaml"


def train_in_folder(
    task: Task[Any], experiment: Config, training: FitConfig, run: Path, resume_from: Path | None
) -> FitResult:
    """Train, or go on training, in the folder of a run, with a progress bar.

    The settings are kept there from the start, and those of the last process in the end.
    """
    remove_partials(run)
    keep_config(run, experiment, replace=False)
    result = fit(task, training, run, progress=terminal_progress, resume_from=resume_from)
    if result.is_first:
        keep_config(run, experiment, replace=True)
    return result


def training_code(result: FitResult) -> int:
    """Exit code of a training command."""
    return STOPPED if result.status == "interrupted" else DONE


def load_run_config(cls: type[ExperimentT], run: Path, kind: str) -> ExperimentT:
    """Read the settings of a run of `foldwright train KIND` from its folder.

    Raises:
        InputError: the folder holds no training run.
    """
    if not (run / _CONFIG_NAME).is_file():
        message = f"holds no {_CONFIG_NAME}: not a run of `foldwright train {kind}`"
        raise InputError(Problem(str(run), message))
    return load_config(cls, run / _CONFIG_NAME)


def read_run_checkpoint(run: Path, which: Which) -> Checkpoint:
    """Read the last checkpoint of a run, or the best by validation loss.

    Raises:
        InputError: the run has no such checkpoint yet.
        FoldwrightError: the checkpoint is damaged.
    """
    archive = CheckpointArchive(run)
    path = archive.latest() if which == "last" else archive.best()
    if path is None:
        message = f"has no {which} checkpoint yet; train on, or ask for the other one"
        raise InputError(Problem(str(run), message))
    return archive.read(path)


def finished_weights(checkpoint: Checkpoint) -> dict[str, Tensor]:
    """Weights to use: the mean over steps where the run kept one."""
    return dict(checkpoint.tensors.get("ema", checkpoint.tensors["model"]))


def run_provenance(run: Path, experiment: Config, saved: Checkpoint) -> dict[str, Any]:
    """Where the weights of a checkpoint come from, for their card, the store's place left out."""
    state = saved.state
    lines = (run / "starts.jsonl").read_text(encoding="utf-8").splitlines()
    starts = [start for start in map(json.loads, lines) if start["after_step"] < state["step"]]
    return {
        "step": state["step"],
        "epoch": state["position"]["epoch"],
        "samples": state["samples"],
        "weights": "mean over steps" if "ema" in saved.tensors else "as trained",
        "best_validation": state["best"],
        "experiment": experiment.model_dump(mode="json", exclude={"store"}),
        "starts": [{k: v for k, v in start.items() if k != "config"} for start in starts],
    }


def require_weight_name(out: Path) -> None:
    """Refuse a name that other commands would not read as weights.

    Raises:
        InputError: the name does not end in .safetensors.
    """
    if out.suffix != ".safetensors":
        raise InputError(Problem(str(out), "is not a name for weights; end it in .safetensors"))


def training_record(result: FitResult) -> dict[str, Any]:
    """What every training command reports."""
    return {
        "status": result.status,
        "step": result.step,
        "epoch": result.epoch,
        "best_validation_loss": result.best.loss if result.best else None,
        "best_step": result.best.step if result.best else None,
        "checkpoint": result.checkpoint,
    }


def written_kinds(result: FitResult) -> tuple[Which, ...]:
    """Weights that a command writes when its run ends."""
    return ("last", "best") if result.best else ("last",)


def keep_config(run: Path, experiment: Config, *, replace: bool) -> None:
    """Write the settings into the folder of a run, where there are none or with `replace`."""
    if replace or not (run / _CONFIG_NAME).exists():
        write_atomic(run / _CONFIG_NAME, dump_config(experiment))
