"""Ancestral sampling, as Genie does it."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from foldwright.diffusion.denoise import Denoise
from foldwright.diffusion.noise import NoiseSource
from foldwright.diffusion.process import (
    CLEAN,
    GaussianProcess,
    Prediction,
    broadcast_to_sample,
)
from foldwright.diffusion.time_grid import iterate_steps


def sample(
    denoise: Denoise,
    process: GaussianProcess,
    x_init: Float[Tensor, "b *d"],
    *,
    timesteps: Int64[Tensor, "s"],
    noise: NoiseSource,
    noise_scale: float = 1.0,
) -> Float[Tensor, "b *d"]:
    """Walk from `x_init`, noise at `timesteps[0]`, to clean data.

    `noise_scale` below 1 trades variety for quality; 0 makes the walk deterministic.
    """
    x = x_init
    for now, earlier in iterate_steps(process, timesteps):
        timestep = torch.full((x.shape[0],), now, device=x.device)
        prediction = denoise(x, timestep)
        fresh = torch.zeros_like(x) if earlier == CLEAN else noise(x) * noise_scale
        earlier_timestep = torch.full_like(timestep, earlier)
        x = reverse_step(process, x, prediction, timestep, earlier_timestep, fresh)
    return x


def reverse_step(
    process: GaussianProcess,
    x: Float[Tensor, "b *d"],
    prediction: Prediction,
    timestep: Int64[Tensor, "b"],
    earlier: Int64[Tensor, "b"],
    noise: Float[Tensor, "b *d"],
) -> Float[Tensor, "b *d"]:
    """One step of each item to its own earlier timestep; `noise` is already scaled.

    The mean is that of the posterior at the predicted clean sample, which for neighbouring
    timesteps is Genie's `(x - beta / sqrt(1 - abar) epsilon) / sqrt(1 - beta)`. The deviation is
    Genie's `sqrt(beta)` between neighbours, the posterior's where timesteps are skipped (there
    `beta` alone could exceed all the noise of the earlier timestep), and 0 on arrival at `CLEAN`.
    Ho et al. 2020, algorithm 2 and section 3.2.
    """
    mean, variance = process.posterior(x, prediction.x0, timestep, earlier)
    beta = 1.0 - process.alpha_bar(timestep) / process.alpha_bar(earlier)
    neighbours = (timestep - earlier == 1) & (earlier != CLEAN)
    variance = torch.where(neighbours.to(variance.device), beta, variance)
    return mean + broadcast_to_sample(variance.sqrt(), x) * noise
