"""`foldwright train classifier`: the judge of activities, trained and measured."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from cyclopts import Parameter
from pydantic import Field

from foldwright.cli.output import emit
from foldwright.cli.run_folder import (
    finished_weights,
    read_run_checkpoint,
    run_provenance,
    train_in_folder,
    training_code,
    training_record,
    written_kinds,
)
from foldwright.data.peptide_store import PeptideStore
from foldwright.evaluation.peptides.ranking import measure_judge
from foldwright.models.peptide.classifier import (
    ActivityClassifier,
    ClassifierConfig,
    LabelQuality,
    save_classifier,
)
from foldwright.models.peptide.classifier_task import (
    ClassifierDataConfig,
    ClassifierTask,
    learnable_labels,
)
from foldwright.runtime.config import Config, load_config
from foldwright.runtime.seeds import derive_seed
from foldwright.training.config import FitConfig
from foldwright.training.loop import FitResult

WEIGHTS_NAME = "classifier.safetensors"


class ClassifierExperiment(Config):
    """Settings of one training run of the activity classifier."""

    store: Path = Field(description="folder that `foldwright data prepare-peptides` wrote")
    network: ClassifierConfig = Field(default=ClassifierConfig(), description="sizes")
    data: ClassifierDataConfig = Field(
        default=ClassifierDataConfig(), description="which peptides and labels"
    )
    training: FitConfig = Field(description="steps, optimiser, checkpoints")


def classifier_command(
    config: Path,
    *overrides: str,
    out: Path,
    resume_from: Path | None = None,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Train the classifier that judges the activity of peptides; run it again to go on.

    It learns from the split train of the store. When the run has finished, thresholds are chosen
    on the split val, everything is measured on the split test, and `classifier.safetensors` is
    written with its card.

    Examples:
        foldwright train classifier config.yaml --out runs/classifier
        foldwright evaluate peptides.fasta --classifier runs/classifier/classifier.safetensors

    Args:
        config: YAML file with the settings of the run.
        overrides: Settings as key=value that win over the file.
        out: Folder of the run: checkpoints, metrics, weights.
        resume_from: Checkpoint of this run to go on from instead of the latest.
        as_json: Print one JSON object.
    """
    experiment = load_config(ClassifierExperiment, config, overrides)
    store = PeptideStore.open(experiment.store)
    model, task = _build(experiment, store)
    result = train_in_folder(task, experiment, experiment.training, out, resume_from)
    if not result.is_first:
        return training_code(result)
    record = training_record(result) | {"peptides": task.num_peptides["train"]}
    if result.status == "finished":
        record["weights"] = _export(model, task, store, experiment, result, out)
        record["labels"] = [quality.model_dump() for quality in model.quality]
        record["unlearned"] = ", ".join(model.unlearned) or "none"
    emit(record, as_json, title="classifier")
    return training_code(result)


def _build(
    experiment: ClassifierExperiment, store: PeptideStore
) -> tuple[ActivityClassifier, ClassifierTask]:
    """Build the network; random weights come from the seed of the run."""
    labels, missing = learnable_labels(store, experiment.data)
    seed = experiment.training.seed
    with torch.random.fork_rng([]):
        torch.default_generator.manual_seed(derive_seed(seed, "weights"))
        model = ActivityClassifier(experiment.network, labels)
    model.unlearned = missing
    return model, ClassifierTask(model, store, experiment.data, seed=seed)


def _export(
    model: ActivityClassifier,
    task: ClassifierTask,
    store: PeptideStore,
    experiment: ClassifierExperiment,
    result: FitResult,
    out: Path,
) -> Path:
    """Take the mean weights of the best checkpoint, measure them, and write them."""
    checkpoint = read_run_checkpoint(out, written_kinds(result)[-1])
    model.load_state_dict(finished_weights(checkpoint))
    model.cpu().eval()
    model.quality = _measure(model, task, store)
    provenance = run_provenance(out, experiment, checkpoint) | {
        "data": store.info.source,
        "peptides": store.info.splits,
        "store_files": {name: facts.sha256 for name, facts in sorted(store.info.files.items())},
    }
    save_classifier(model, out / WEIGHTS_NAME, provenance=provenance)
    return out / WEIGHTS_NAME


def _measure(
    model: ActivityClassifier, task: ClassifierTask, store: PeptideStore
) -> tuple[LabelQuality, ...]:
    """Thresholds on the split val, everything else on the split test, for each label."""
    known, scores = {}, {}
    for split in ("val", "test"):
        members = store.split(split)
        known[split] = np.array(store.labels[members])
        scores[split] = model.predict([store.sequence(index) for index in members.tolist()])
    quality = []
    for label in model.labels:
        column = store.label_names.index(label)
        found = measure_judge(
            (known["val"][:, column], scores["val"][label]),
            (known["test"][:, column], scores["test"][label]),
        )
        ones, zeros = task.num_known[label]
        quality.append(
            LabelQuality(label=label, train_positives=ones, train_negatives=zeros, **asdict(found))
        )
    return tuple(quality)
