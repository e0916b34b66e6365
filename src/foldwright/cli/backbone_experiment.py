"""What a training run of the backbone model is made of, composed from the parts' own settings."""

from functools import partial
from pathlib import Path

import torch
from pydantic import Field

from foldwright.data.store import ChainStore
from foldwright.models.backbone.config import DiffusionConfig, GenieConfig, LossConfig
from foldwright.models.backbone.model import BackboneModel
from foldwright.models.backbone.task import BackboneTask, ChainBatchConfig
from foldwright.models.backbone.weights import load_weights
from foldwright.runtime.config import Config, load_config
from foldwright.runtime.errors import InputError, Problem
from foldwright.runtime.seeds import derive_seed
from foldwright.training.config import FitConfig


class BackboneExperiment(Config):
    """Settings of one training run."""

    store: Path = Field(description="folder that `foldwright data prepare` wrote")
    start_weights: str | None = Field(
        default=None, description="weights to begin with: a file, or bundled; random by default"
    )
    genie: GenieConfig = Field(
        default_factory=partial(load_config, GenieConfig, None), description="network"
    )
    diffusion: DiffusionConfig = Field(
        default_factory=partial(load_config, DiffusionConfig, None), description="noise process"
    )
    loss: LossConfig = Field(
        default_factory=partial(load_config, LossConfig, None), description="terms of the loss"
    )
    chains: ChainBatchConfig = Field(
        default_factory=partial(load_config, ChainBatchConfig, None),
        description="which chains, and batches of them",
    )
    training: FitConfig = Field(description="steps, optimiser, checkpoints")


def build_task(experiment: BackboneExperiment) -> BackboneTask:
    """Open the store and build the model; random weights come from the seed of the run.

    Raises:
        InputError: there is no such store, no chain to train on, or `start_weights` are those of
            another network.
    """
    store = ChainStore.open(experiment.store)
    seed = experiment.training.seed
    with torch.random.fork_rng([]):
        torch.default_generator.manual_seed(derive_seed(seed, "weights"))
        model = BackboneModel(experiment.genie, experiment.diffusion)
    if experiment.start_weights is not None:
        begin = load_weights(experiment.start_weights)
        if begin.genie != experiment.genie:
            raise InputError(_other_network(experiment, begin.genie))
        model.load_state_dict(begin.state_dict())
    return BackboneTask(model, store, experiment.chains, experiment.loss, seed=seed)


def _other_network(experiment: BackboneExperiment, found: GenieConfig) -> list[Problem]:
    wanted = experiment.genie.model_dump()
    return [
        Problem(f"genie.{name}", f"is {wanted[name]!r}, but start_weights have {value!r}")
        for name, value in found.model_dump().items()
        if wanted[name] != value
    ]
