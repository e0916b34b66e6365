"""Denoising diffusion implicit models: few steps, with as much noise as asked for."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from foldwright.diffusion.denoise import Denoise
from foldwright.diffusion.noise import NoiseSource
from foldwright.diffusion.process import CLEAN, GaussianProcess, broadcast_to_sample
from foldwright.diffusion.time_grid import iterate_steps


def sample(
    denoise: Denoise,
    process: GaussianProcess,
    x_init: Float[Tensor, "b *d"],
    *,
    timesteps: Int64[Tensor, "s"],
    noise: NoiseSource,
    eta: float = 0.0,
) -> Float[Tensor, "b *d"]:
    """Walk from `x_init`, noise at `timesteps[0]`, to clean data.

    `eta` 0 is deterministic and draws nothing; 1 is ancestral sampling with the posterior's
    variance. Song et al. 2021, equations 12 and 16.
    """
    x = x_init
    for now, earlier in iterate_steps(process, timesteps):
        timestep = torch.full((x.shape[0],), now, device=x.device)
        earlier_timestep = torch.full_like(timestep, earlier)
        prediction = denoise(x, timestep)
        alpha_bar_earlier = process.alpha_bar(earlier_timestep)
        _, posterior_variance = process.posterior(x, prediction.x0, timestep, earlier_timestep)
        variance = eta**2 * posterior_variance
        on_x0 = broadcast_to_sample(alpha_bar_earlier.sqrt(), x)
        on_epsilon = broadcast_to_sample((1.0 - alpha_bar_earlier - variance).sqrt(), x)
        x = on_x0 * prediction.x0 + on_epsilon * prediction.epsilon
        if eta > 0 and earlier != CLEAN:
            x = x + broadcast_to_sample(variance.sqrt(), x) * noise(x)
    return x
