"""The weights of a run of the peptide model as a file that other commands read."""

import json
from pathlib import Path
from typing import Any, Literal

from foldwright.cli.peptide_experiment import PeptideExperiment, load_peptide_config
from foldwright.data.peptide_store import PeptideStore
from foldwright.models.peptide.encoder import BundledEncoder
from foldwright.models.peptide.model import PeptideModel
from foldwright.models.peptide.weights import save_encoder_weights, save_peptide_weights
from foldwright.runtime.errors import InputError, Problem
from foldwright.training.archive import CheckpointArchive
from foldwright.training.checkpoint import Checkpoint


def export_peptide_weights(run: Path, which: Literal["last", "best"], out: Path) -> Path:
    """Write the mean weights of a checkpoint, with a card that says where they come from.

    Raises:
        InputError: the folder holds no run, or the run has no such checkpoint yet.
        FoldwrightError: the checkpoint is damaged.
    """
    if out.suffix != ".safetensors":
        raise InputError(Problem(str(out), "is not a name for weights; end it in .safetensors"))
    experiment = load_peptide_config(run)
    archive = CheckpointArchive(run)
    path = archive.latest() if which == "last" else archive.best()
    if path is None:
        raise InputError(
            Problem(str(run), f"has no {which} checkpoint yet; train on, or ask for the other one")
        )
    checkpoint = archive.read(path)
    weights = dict(checkpoint.tensors.get("ema", checkpoint.tensors["model"]))
    store = PeptideStore.open(experiment.store)
    provenance = _provenance(run, experiment, checkpoint, store)
    settings = experiment.model
    if experiment.stage == "encoder":
        encoder = BundledEncoder(settings.encoder, settings.max_length)
        encoder.load_state_dict(weights)
        save_encoder_weights(
            encoder,
            out,
            config=settings.encoder,
            max_length=settings.max_length,
            provenance=provenance,
        )
    else:
        model = PeptideModel(settings, store.label_names)
        model.load_state_dict(weights)
        save_peptide_weights(model, out, provenance=provenance)
    return out


def _provenance(
    run: Path, experiment: PeptideExperiment, saved: Checkpoint, store: PeptideStore
) -> dict[str, Any]:
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
        "data": store.info.source,
        "peptides": store.info.splits,
        "store_files": {name: facts.sha256 for name, facts in store.info.files.items()},
        "starts": [{k: v for k, v in start.items() if k != "config"} for start in starts],
    }
