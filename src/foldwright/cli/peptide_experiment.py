"""What a training run of the peptide model is made of, composed from the parts' own settings."""

from pathlib import Path
from typing import Any

import torch
from pydantic import Field, model_validator

from foldwright.data.peptide_store import PeptideStore
from foldwright.models.peptide.batches import PeptideBatchConfig, length_counts
from foldwright.models.peptide.conditioning import ConditioningConfig
from foldwright.models.peptide.config import EncoderConfig, PeptideConfig, PeptideLossConfig
from foldwright.models.peptide.encoder import BundledEncoder, SequenceEncoder
from foldwright.models.peptide.masked_language import MaskedLanguageTask, MaskingConfig
from foldwright.models.peptide.model import PeptideModel
from foldwright.models.peptide.stages import Stage, fill_from_stage
from foldwright.models.peptide.task import PeptideTask, set_latent_statistics
from foldwright.models.peptide.weights import load_encoder_weights, load_peptide_weights
from foldwright.runtime.config import Config
from foldwright.runtime.errors import InputError, Problem
from foldwright.runtime.seeds import derive_seed
from foldwright.training.config import FitConfig

_STAGE: Stage = 1


class PeptideExperiment(Config):
    """Settings of one training run; what is not written comes from the stage, then the defaults."""

    store: Path = Field(description="folder that `foldwright data prepare-peptides` wrote")
    stage: Stage = Field(
        default=_STAGE,
        description="encoder: the masked language model; 1: diffusion on sequences; 2: with "
        "structures; 3: with the encoder unfrozen",
    )
    encoder_weights: Path | None = Field(
        default=None, description="stage 1: encoder to begin with, from a run of stage encoder"
    )
    start_weights: str | None = Field(
        default=None, description="whole model to begin with: a file, or bundled"
    )
    model: PeptideConfig = Field(default=PeptideConfig(), description="network")
    conditioning: ConditioningConfig = Field(
        default=ConditioningConfig(), description="what the denoiser is told of each peptide"
    )
    masking: MaskingConfig = Field(default=MaskingConfig(), description="stage encoder")
    loss: PeptideLossConfig = Field(default=PeptideLossConfig(), description="terms of the loss")
    peptides: PeptideBatchConfig = Field(
        default=PeptideBatchConfig(), description="which peptides, and batches of them"
    )
    training: FitConfig = Field(description="steps, optimiser, checkpoints")

    @model_validator(mode="before")
    @classmethod
    def _fill_from_stage(cls, values: Any) -> Any:
        return fill_from_stage(values, _STAGE) if isinstance(values, dict) else values


def build_encoder_task(experiment: PeptideExperiment) -> MaskedLanguageTask:
    """Open the store and build the encoder; random weights come from the seed of the run.

    Raises:
        InputError: there is no such store, or the encoder is not one that is trained here.
    """
    if experiment.model.encoder.kind != "bundled":
        message = "is esm2, which is trained already; write bundled, or go on with stage: 1"
        raise InputError(Problem("model.encoder.kind", message))
    store = PeptideStore.open(experiment.store)
    seed = experiment.training.seed
    with torch.random.fork_rng([]):
        torch.default_generator.manual_seed(derive_seed(seed, "weights"))
        encoder = BundledEncoder(experiment.model.encoder, experiment.model.max_length)
    config = experiment.model.encoder
    return MaskedLanguageTask(
        encoder, config, store, experiment.peptides, experiment.masking, seed=seed
    )


def build_diffusion_task(experiment: PeptideExperiment) -> PeptideTask:
    """Open the store and build the model of stage 1, 2 or 3, with the weights it begins with.

    A model that does not begin with weights gets its statistics of latents from the training
    peptides, and its labels and histogram of lengths from the store.

    Raises:
        InputError: there is no such store, no encoder to begin with, or weights are of another
            network or other labels.
    """
    store = PeptideStore.open(experiment.store)
    seed = experiment.training.seed
    if experiment.start_weights is not None:
        model = _started_model(experiment, store)
    else:
        with torch.random.fork_rng([]):
            torch.default_generator.manual_seed(derive_seed(seed, "weights"))
            model = PeptideModel(experiment.model, store.label_names, _encoder(experiment))
    model.length_counts.copy_(length_counts(store, model.max_length))
    task = PeptideTask(
        model, store, experiment.peptides, experiment.conditioning, experiment.loss, seed=seed
    )
    if experiment.start_weights is None:
        set_latent_statistics(model, task.training_batches(0))
    return task


def _encoder(experiment: PeptideExperiment) -> SequenceEncoder | None:
    """The encoder that the run begins with, or None where the settings alone say which."""
    if experiment.model.encoder.kind != "bundled":
        return None
    path = experiment.encoder_weights
    if path is None:
        message = (
            "is missing: diffusion needs a trained encoder; write the weights of a run of stage: "
            "encoder, or start_weights: bundled, or model.encoder.kind: esm2"
        )
        raise InputError(Problem("encoder_weights", message))
    encoder, found = load_encoder_weights(path)
    wanted = experiment.model
    if found.max_length != wanted.max_length:
        problem = f"is {wanted.max_length}, but {path} was made for {found.max_length}"
        raise InputError(Problem("model.max_length", problem))
    _require_same_encoder(wanted.encoder, found.encoder, str(path))
    return encoder


def _started_model(experiment: PeptideExperiment, store: PeptideStore) -> PeptideModel:
    begin = load_peptide_weights(str(experiment.start_weights))
    if begin.labels != store.label_names:
        message = (
            f"has the labels {', '.join(begin.labels)}; the store has "
            f"{', '.join(store.label_names)}: prepare a table with the same columns"
        )
        raise InputError(Problem(str(experiment.start_weights), message))
    model = PeptideModel(experiment.model, begin.labels, begin.encoder)
    try:
        model.load_state_dict(begin.state_dict())
    except RuntimeError as error:
        message = f"are of another network than `model` describes: {error}"
        raise InputError(Problem("start_weights", message)) from error
    return model


def _require_same_encoder(wanted: EncoderConfig, found: EncoderConfig, path: str) -> None:
    """Compare all that shapes an encoder; whether training moves it may differ."""
    given = wanted.model_dump(exclude={"adaptation"})
    problems = [
        Problem(f"model.encoder.{name}", f"is {given[name]!r}, but {path} has {value!r}")
        for name, value in found.model_dump(exclude={"adaptation"}).items()
        if given[name] != value
    ]
    if problems:
        raise InputError(problems)
