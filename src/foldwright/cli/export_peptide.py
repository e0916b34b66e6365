"""The weights of a run of the peptide model as a file that other commands read."""

from pathlib import Path

from foldwright.cli.peptide_experiment import PeptideExperiment
from foldwright.cli.run_folder import (
    Which,
    finished_weights,
    load_run_config,
    read_run_checkpoint,
    require_weight_name,
    run_provenance,
)
from foldwright.data.peptide_store import PeptideStore
from foldwright.models.peptide.encoder import BundledEncoder
from foldwright.models.peptide.model import PeptideModel
from foldwright.models.peptide.weights import save_encoder_weights, save_peptide_weights


def export_peptide_weights(run: Path, which: Which, out: Path) -> Path:
    """Write the mean weights of a checkpoint, with a card that says where they come from.

    Raises:
        InputError: the folder holds no run, or the run has no such checkpoint yet.
        FoldwrightError: the checkpoint is damaged.
    """
    require_weight_name(out)
    experiment = load_run_config(PeptideExperiment, run, "peptide")
    checkpoint = read_run_checkpoint(run, which)
    weights = finished_weights(checkpoint)
    store = PeptideStore.open(experiment.store)
    provenance = run_provenance(run, experiment, checkpoint) | {
        "data": store.info.source,
        "peptides": store.info.splits,
        "store_files": {name: facts.sha256 for name, facts in store.info.files.items()},
    }
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
