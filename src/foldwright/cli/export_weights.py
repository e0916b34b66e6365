"""The weights of a training run as a file that other commands read."""

from pathlib import Path

from foldwright.cli.backbone_experiment import BackboneExperiment
from foldwright.cli.run_folder import (
    Which,
    finished_weights,
    load_run_config,
    read_run_checkpoint,
    require_weight_name,
    run_provenance,
)
from foldwright.models.backbone.model import BackboneModel
from foldwright.models.backbone.weights import save_weights


def export_weights(run: Path, which: Which, out: Path) -> Path:
    """Write the mean weights of a checkpoint, with a card that says where they come from.

    Raises:
        InputError: the folder holds no run, or the run has no such checkpoint yet.
        FoldwrightError: the checkpoint is damaged.
    """
    require_weight_name(out)
    experiment = load_run_config(BackboneExperiment, run, "backbone")
    checkpoint = read_run_checkpoint(run, which)
    model = BackboneModel(experiment.genie, experiment.diffusion)
    model.load_state_dict(finished_weights(checkpoint))
    store_files = {
        name.removeprefix("task.store."): digest
        for name, digest in checkpoint.state["settings"].items()
        if name.startswith("task.store.")
    }
    provenance = run_provenance(run, experiment, checkpoint) | {"store_files": store_files}
    save_weights(model, out, provenance=provenance)
    return out
