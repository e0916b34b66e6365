"""Classifier-free guidance and self-conditioning, as wrappers between a sampler and a network."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from foldwright.diffusion.denoise import Denoise
from foldwright.diffusion.process import GaussianProcess, Prediction

GuidanceSchedule = Literal["constant", "linear", "cosine"]

ConditionalDenoise = Callable[[Tensor, Tensor, Tensor, Tensor | None], Prediction]
"""`denoise(x (b, *d), timestep (b,), conditioned (b,) bool, previous_x0 or None)`.

Items whose `conditioned` is False are seen with the other condition, the one that guidance points
away from: the null condition, or the opposite of what is asked. More items than one batch has may
come at once: the batch, and then the batch again.
"""

SelfConditionedDenoise = Callable[[Tensor, Tensor, Tensor | None], Prediction]
"""`denoise(x (b, *d), timestep (b,), previous_x0 (b, *d) or None)`."""


@dataclass(frozen=True)
class Guidance:
    """How far past the conditional estimate to go, over time.

    `scale` 1 is the conditional network, 0 the other one, more exaggerates the condition.
    `constant` holds the scale; `linear` and `cosine` begin at 1 in pure noise and reach it with the
    last noise, so that variety is decided before the push sets in. Where the share of signal
    (alpha bar) is not within `signal_range` the scale is 1, which costs half as much. Kynkäänniemi
    et al. 2024, equation 5, whose noise levels are sqrt(1 / signal - 1).
    """

    scale: float
    schedule: GuidanceSchedule = "constant"
    signal_range: tuple[float, float] = (0.0, 1.0)

    def at(self, timestep: int, process: GaussianProcess) -> float:
        """Scale at one timestep."""
        low, high = self.signal_range
        if not low <= float(process.alpha_bar(torch.tensor([timestep]))) <= high:
            return 1.0
        if self.schedule == "constant" or process.num_timesteps == 1:
            return self.scale
        share = 1.0 - timestep / (process.num_timesteps - 1)
        if self.schedule == "cosine":
            share = 0.5 * (1.0 - math.cos(math.pi * share))
        return 1.0 + (self.scale - 1.0) * share


def with_guidance(
    denoise: ConditionalDenoise, process: GaussianProcess, guidance: Guidance
) -> SelfConditionedDenoise:
    """Combine the estimates under both conditions, `other + scale (cond - other)`.

    Both come from one call with twice the items. Where the scale is 1 only the conditional network
    is asked, and its answer is returned as it is; where it is 0 only the other one. The combination
    is of clean estimates, which at one timestep is the same as of noise estimates. Ho and Salimans
    2022, equation 6, with scale = 1 + w.
    """

    def guided(
        x: Float[Tensor, "b *d"], timestep: Int64[Tensor, "b"], previous: Tensor | None
    ) -> Prediction:
        scale = guidance.at(int(timestep[0]), process)
        everyone = torch.ones_like(timestep, dtype=torch.bool)
        if scale in (0.0, 1.0):
            return denoise(x, timestep, everyone if scale else ~everyone, previous)
        both = denoise(
            torch.cat([x, x]),
            torch.cat([timestep, timestep]),
            torch.cat([everyone, ~everyone]),
            None if previous is None else torch.cat([previous, previous]),
        )
        conditional, other = both.x0.chunk(2)
        x0 = other + scale * (conditional - other)
        return Prediction(x0, process.epsilon_from_x0(x, x0, timestep))

    return guided


def with_self_conditioning(denoise: SelfConditionedDenoise) -> Denoise:
    """Hand each clean estimate to the next call; the first one gets none.

    The result remembers one sampling run: make a new one for each. Chen et al. 2023, algorithm 2.
    """
    remembered: list[Tensor] = []

    def conditioned(x: Float[Tensor, "b *d"], timestep: Int64[Tensor, "b"]) -> Prediction:
        prediction = denoise(x, timestep, remembered[-1] if remembered else None)
        remembered[:] = [prediction.x0]
        return prediction

    return conditioned
