"""`foldwright plan`: memory and time before anything is started."""

from pathlib import Path
from typing import Annotated, Any

import torch
from cyclopts import Parameter

from foldwright.cli.backbone_experiment import BackboneExperiment
from foldwright.cli.output import emit
from foldwright.models.backbone.config import GenieConfig
from foldwright.models.backbone.plan import MemoryPlan, Planner
from foldwright.models.backbone.weights import load_weights
from foldwright.runtime.config import load_config
from foldwright.runtime.device import select_device
from foldwright.runtime.errors import InputError, Problem
from foldwright.runtime.memory import available_memory


def plan_command(
    *,
    length: int,
    batch: int = 1,
    config: Path | None = None,
    weights: str | None = None,
    device: str = "auto",
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Predict memory and time of a training step and of a denoising step; starts neither.

    Shallow copies of the network run once at short lengths on the CPU, which takes seconds to a
    minute. Memory is that of tensors, over the weights; a GPU runs other kernels and may need more.
    Time is CPU seconds of the probes, extrapolated.

    Examples:
        foldwright plan --weights bundled --length 128
        foldwright plan --config config.yaml --length 4096 --batch 2

    Args:
        length: Residues of the longest chain.
        batch: Chains in a batch.
        config: Settings of a training run (YAML).
        weights: File of weights, or bundled; the default where there is no config.
        device: auto, cpu, cuda, cuda:1 or mps: whose free memory counts.
        as_json: Print one JSON object.
    """
    if length < 4 or batch < 1:
        raise InputError(
            f"--length {length} --batch {batch}: expected at least 4 residues and one chain"
        )
    place = select_device(device)
    planner = Planner(_network(config, weights))
    free = available_memory(place)
    plans = {
        "training step": planner.training(length, batch, free=free),
        "denoising step": planner.sampling(length, batch, free=free),
    }
    emit(_summary(plans, place), as_json, title="plan")
    return 0


def _network(config: Path | None, weights: str | None) -> GenieConfig:
    if config is not None and weights is not None:
        raise InputError(Problem("--config and --weights", "name one of them, not both"))
    if config is None:
        return load_weights(weights or "bundled").genie
    return load_config(BackboneExperiment, config).genie


def _summary(plans: dict[str, MemoryPlan], device: torch.device) -> dict[str, Any]:
    training = plans["training step"]
    return {
        "length": training.length,
        "batch": training.batch,
        "device": str(device),
        "free_memory_mb": training.free_bytes / 1e6,
        "steps": [_row(name, plan) for name, plan in plans.items()],
        "probed_lengths": list(training.probed_lengths),
    }


def _row(name: str, plan: MemoryPlan) -> dict[str, Any]:
    return {
        "what": name,
        "peak_mb": plan.peak_bytes / 1e6,
        "fits": plan.fits,
        "recomputed_pair_layers": f"{plan.recomputed} of {plan.pair_layers}",
        "cpu_seconds": plan.cpu_seconds,
    }
