"""The weights of a training run as a file that other commands read."""

import json
from pathlib import Path
from typing import Any, Literal

from foldwright.cli.backbone_experiment import BackboneExperiment, load_run_config
from foldwright.models.backbone.model import BackboneModel
from foldwright.models.backbone.weights import save_weights
from foldwright.runtime.errors import InputError, Problem
from foldwright.training.archive import CheckpointArchive
from foldwright.training.checkpoint import Checkpoint


def export_weights(run: Path, which: Literal["last", "best"], out: Path) -> Path:
    """Write the mean weights of a checkpoint, with a card that says where they come from.

    Raises:
        InputError: the folder holds no run, or the run has no such checkpoint yet.
        FoldwrightError: the checkpoint is damaged.
    """
    if out.suffix != ".safetensors":
        raise InputError(Problem(str(out), "is not a name for weights; end it in .safetensors"))
    experiment = load_run_config(run)
    archive = CheckpointArchive(run)
    path = archive.latest() if which == "last" else archive.best()
    if path is None:
        raise InputError(
            Problem(str(run), f"has no {which} checkpoint yet; train on, or ask for the other one")
        )
    checkpoint = archive.read(path)
    model = BackboneModel(experiment.genie, experiment.diffusion)
    weights = checkpoint.tensors.get("ema", checkpoint.tensors["model"])
    model.load_state_dict(dict(weights))
    save_weights(model, out, provenance=_provenance(run, experiment, checkpoint))
    return out


def _provenance(run: Path, experiment: BackboneExperiment, saved: Checkpoint) -> dict[str, Any]:
    state = saved.state
    lines = (run / "starts.jsonl").read_text(encoding="utf-8").splitlines()
    starts = [start for start in map(json.loads, lines) if start["after_step"] < state["step"]]
    return {
        "step": state["step"],
        "epoch": state["position"]["epoch"],
        "samples": state["samples"],
        "weights": "mean over steps" if "ema" in saved.tensors else "as trained",
        "best_validation": state["best"],
        "experiment": experiment.model_dump(mode="json"),
        "store_files": {
            name.removeprefix("task.store."): digest
            for name, digest in state["settings"].items()
            if name.startswith("task.store.")
        },
        "starts": [{k: v for k, v in start.items() if k != "config"} for start in starts],
    }
