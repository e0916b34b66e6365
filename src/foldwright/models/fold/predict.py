"""From inputs to structures and scores: passes through the trunk, samples, heads."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from foldwright.models.fold.chain_scores import ChainScores, chain_scores
from foldwright.models.fold.config import FoldSamplerConfig
from foldwright.models.fold.family_inputs import family_inputs
from foldwright.models.fold.inputs import FoldInputs
from foldwright.models.fold.network.confidence import Confidence
from foldwright.models.fold.network.distogram import contact_probabilities
from foldwright.models.fold.network.fold_network import FoldNetwork
from foldwright.models.fold.network.trunk import first_previous, shuffled_rows
from foldwright.models.fold.network.workspace import Workspace
from foldwright.models.fold.plan import FoldPlan, plan_memory
from foldwright.models.fold.sample import (
    SampleDraws,
    noise_levels,
    sample_positions,
    seeded_draws,
)
from foldwright.runtime.memory import available_memory
from foldwright.runtime.seeds import make_generator


@dataclass(frozen=True)
class FoldDraws:
    """All random numbers of a prediction: alignment rows of pass i, and those of sample k."""

    row_order: Callable[[int], Int[Tensor, " s"]]
    sample: Callable[[int], SampleDraws]


@dataclass(frozen=True)
class TrunkResult:
    """What the trunk says about an input; all samples start from it."""

    target: Float[Tensor, "n f"]
    pair: Float[Tensor, "n n z"]
    single: Float[Tensor, "n s"]


@dataclass(frozen=True)
class FoldPrediction:
    """Sampled structures, Å in 24 slots per token, with scores, and what the trunk found."""

    trunk: TrunkResult
    positions: tuple[Float[Tensor, "n 24 3"], ...]
    confidence: tuple[Confidence, ...]
    chains: tuple[ChainScores, ...]
    distogram: Float[Tensor, "n n 64"]
    contacts: Float[Tensor, "n n"]


def seeded_fold_draws(inputs: FoldInputs, seed: int) -> FoldDraws:
    """Random numbers of a prediction; sample k has its own, however many are drawn."""
    device = inputs.tokens.mask.device
    covered = inputs.alignment.mask.any(1)

    def row_order(index: int) -> Tensor:
        return shuffled_rows(covered, make_generator(seed, "rows", index)).to(device)

    def sample(index: int) -> SampleDraws:
        return seeded_draws(inputs.reference.real, make_generator(seed, "sample", index))

    return FoldDraws(row_order, sample)


@torch.no_grad()
def run_trunk(
    network: FoldNetwork,
    inputs: FoldInputs,
    row_orders: list[Int[Tensor, " s"]],
    work: Workspace,
) -> TrunkResult:
    """Pass through the trunk once for every row order, each pass fed with the last one's result."""
    config = network.config
    target = network.target_features(inputs)
    pair, single = first_previous(target, config.pair_channels, config.single_channels)
    for row_order in row_orders:
        pair, single = network.trunk(inputs, target, (pair, single), row_order, work)
    return TrunkResult(target, pair.float(), single.float())


@torch.no_grad()
def predict(
    network: FoldNetwork,
    inputs: FoldInputs,
    config: FoldSamplerConfig,
    *,
    num_samples: int,
    draws: FoldDraws,
    plan: FoldPlan | None = None,
) -> FoldPrediction:
    """Predict structures of one input.

    Each sample is the same to the last bit whatever their number and whatever the plan. Without a
    plan, one is chosen from the memory that is free.
    """
    inputs = family_inputs(inputs, network.config.differences)
    if plan is None:
        free = available_memory(inputs.tokens.mask.device)
        plan = plan_memory(network.config, inputs, num_samples=num_samples, free_bytes=free)
    orders = [draws.row_order(index) for index in range(config.num_recycles + 1)]
    work = Workspace(factors_at_once=plan.factors_at_once)
    trunk = run_trunk(network, inputs, orders, work)
    parts = (trunk.target, trunk.pair, trunk.single)
    conditioning = network.diffusion.condition(inputs, *parts, work, keep_logits=plan.keep_logits)
    levels = noise_levels(config.steps).to(trunk.pair.device)

    def denoise(positions: Tensor, level: Tensor) -> Tensor:
        denoised: Tensor = network.diffusion(inputs, conditioning, positions, level, work)
        return denoised

    real = inputs.reference.real
    positions: list[Tensor] = []
    for start in range(0, num_samples, plan.samples_together):
        chosen = range(start, min(start + plan.samples_together, num_samples))
        together = [draws.sample(index) for index in chosen]
        positions.extend(sample_positions(denoise, real, levels, together, config))
    scores = tuple(network.confidence(inputs, one, *parts, work) for one in positions)
    logits = network.distogram(trunk.pair)
    contacts = contact_probabilities(logits, inputs.tokens.pair_mask)
    chains = tuple(chain_scores(score, inputs) for score in scores)
    return FoldPrediction(trunk, tuple(positions), scores, chains, logits, contacts)
