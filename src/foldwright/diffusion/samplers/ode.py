"""The probability-flow ordinary differential equation, by Heun's method."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from foldwright.diffusion.denoise import Denoise
from foldwright.diffusion.process import CLEAN, GaussianProcess, broadcast_to_sample
from foldwright.diffusion.time_grid import iterate_steps


def sample(
    denoise: Denoise,
    process: GaussianProcess,
    x_init: Float[Tensor, "b *d"],
    *,
    timesteps: Int64[Tensor, "s"],
) -> Float[Tensor, "b *d"]:
    """Carry `x_init`, noise at `timesteps[0]`, to clean data without any randomness.

    Second order in the step size at two network calls per step, one for the last. Karras et al.
    2022, algorithm 1 with sigma = sqrt((1 - abar) / abar).
    """
    x = x_init
    for now, earlier in iterate_steps(process, timesteps):
        timestep = torch.full((x.shape[0],), now, device=x.device)
        earlier_timestep = torch.full_like(timestep, earlier)
        epsilon = denoise(x, timestep).epsilon
        euler = _follow(process, x, epsilon, timestep, earlier_timestep)
        if earlier == CLEAN:
            return euler
        # The network is not defined without noise, so the last step stays an Euler step.
        slope = 0.5 * (epsilon + denoise(euler, earlier_timestep).epsilon)
        x = _follow(process, x, slope, timestep, earlier_timestep)
    return x


def _follow(
    process: GaussianProcess,
    x: Float[Tensor, "b *d"],
    epsilon: Float[Tensor, "b *d"],
    timestep: Int64[Tensor, "b"],
    earlier: Int64[Tensor, "b"],
) -> Float[Tensor, "b *d"]:
    """Move along `d(x / sqrt(abar)) / d sigma = epsilon`, written for the scaled sample."""
    alpha_bar, alpha_bar_earlier = process.alpha_bar(timestep), process.alpha_bar(earlier)
    on_x = (alpha_bar_earlier / alpha_bar).sqrt()
    on_epsilon = (1.0 - alpha_bar_earlier).sqrt() - on_x * (1.0 - alpha_bar).sqrt()
    return broadcast_to_sample(on_x, x) * x + broadcast_to_sample(on_epsilon, x) * epsilon
