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
from foldwright.models.peptide.seen_peptides import SeenPeptides
from foldwright.models.peptide.weights import (
    load_peptide_weights,
    save_encoder_weights,
    save_peptide_weights,
)


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
        model.seen = _seen(store, experiment.start_weights)
        save_peptide_weights(model, out, provenance=provenance)
    return out


def _seen(store: PeptideStore, start_weights: str | None) -> SeenPeptides | None:
    """Training peptides of the run and of the weights it began with; None if those cannot tell."""
    found = SeenPeptides.of_store(store)
    if start_weights is None:
        return found
    before = load_peptide_weights(start_weights).seen
    return None if before is None else found.join(before)
