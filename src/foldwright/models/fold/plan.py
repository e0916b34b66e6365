"""What a prediction holds in memory at a time, chosen before it starts.

A plan decides what is kept and what is computed again, and how many fixed pieces are in flight. It
never changes the size of a piece, because products of matrices with another number of rows give
other bits: predictions are the same to the last bit under every plan.
"""

from dataclasses import dataclass

from foldwright.models.fold.config import FoldConfig
from foldwright.models.fold.inputs import FoldInputs
from foldwright.models.fold.network.triangle_update import CHANNELS_PER_GROUP
from foldwright.models.fold.network.workspace import positions_per_block
from foldwright.runtime.errors import FoldwrightError

_MARGIN = 1.15
"""Room for what is not counted: token vectors, blocks of rows, the allocator."""
_BYTES = 4
_WINDOW = 32 * 128


@dataclass(frozen=True)
class FoldPlan:
    """What is held at a time.

    Args:
        keep_logits: keep the pair logits of the denoiser's transformer for all steps.
        samples_together: samples that go through the denoiser side by side and share what depends
            on the input and the noise level only.
        factors_at_once: groups of channels that the triangle multiplication holds at a time.
    """

    keep_logits: bool
    samples_together: int
    factors_at_once: int


def plan_memory(
    config: FoldConfig, inputs: FoldInputs, *, num_samples: int, free_bytes: int
) -> FoldPlan:
    """Choose the fastest plan whose peak fits `free_bytes`; parameters are loaded already.

    Raises:
        FoldwrightError: not even the smallest plan fits; says what is needed.
    """
    groups = -(-config.pair_channels // CHANNELS_PER_GROUP)
    choices = [
        FoldPlan(keep, together, held)
        for keep in (True, False)
        for together in sorted({num_samples, min(2, num_samples), 1}, reverse=True)
        for held in range(groups, 0, -1)
    ]
    for plan in choices:
        if peak_bytes(config, inputs, plan) <= free_bytes:
            return plan
    least = min(peak_bytes(config, inputs, plan) for plan in choices)
    raise FoldwrightError(
        f"{len(inputs.tokens)} tokens need about {least / 1e9:.1f} GB beside the parameters, found "
        f"{free_bytes / 1e9:.1f} GB free: close other programs or fold a smaller part"
    )


def peak_bytes(config: FoldConfig, inputs: FoldInputs, plan: FoldPlan) -> int:
    """Predict the peak memory of a prediction beside the parameters."""
    per_pair = max(
        _trunk_floats(config, plan),
        _conditioning_floats(config, plan),
        config.pair_channels + _trunk_floats(config, plan),  # scores: the trunk's pair stays
    )
    n, windows = len(inputs.tokens), len(inputs.layout.token_atoms_to_queries.index)
    rows = min(config.num_msa_rows, len(inputs.alignment.mask))
    # The outer product mean holds the cells, their norm, both projections and one of them masked.
    alignment = rows * n * (2 * config.msa_channels + 3 * config.outer_channels)
    tokens = n * (12 * config.diffusion.token_channels + 2 * config.target_channels)
    samples = plan.samples_together * (tokens + windows * 32 * 2 * config.atoms.channels)
    block = min(n * n, positions_per_block(inputs.tokens.mask.device))
    wide = 2 * config.outer_channels**2 + 8 * config.pair_channels
    floats = n * n * per_pair + alignment + samples + windows * _window_floats(config)
    floats += block * wide
    return int(_MARGIN * _BYTES * floats)


def _trunk_floats(config: FoldConfig, plan: FoldPlan) -> int:
    """Per pair of tokens: the representation, product, factors, logits."""
    channels = config.pair_channels
    held = min(channels, plan.factors_at_once * CHANNELS_PER_GROUP)
    return 2 * channels + held + config.single_heads


def _conditioning_floats(config: FoldConfig, plan: FoldPlan) -> int:
    """Per pair of tokens: trunk, conditioning, and one group of logits or all of them."""
    sizes = config.diffusion
    group = sizes.super_block_size * sizes.num_heads
    kept = group * sizes.num_super_blocks if plan.keep_logits else 0
    return config.pair_channels + sizes.pair_channels + group + kept


def _window_floats(config: FoldConfig) -> int:
    """Per window of atoms: pairs while they are made, logits, conditioning of all blocks."""
    atoms = config.atoms
    blocks = 2 * atoms.num_diffusion_blocks
    pairs = _WINDOW * (4 * atoms.pair_channels + blocks * atoms.num_heads)
    return pairs + 32 * 8 * atoms.channels * blocks
