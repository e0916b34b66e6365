"""The reverse stochastic differential equation, by a second-order multistep method."""

import math

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from foldwright.diffusion.denoise import Denoise
from foldwright.diffusion.noise import NoiseSource
from foldwright.diffusion.process import CLEAN, GaussianProcess
from foldwright.diffusion.time_grid import iterate_steps


def sample(
    denoise: Denoise,
    process: GaussianProcess,
    x_init: Float[Tensor, "b *d"],
    *,
    timesteps: Int64[Tensor, "s"],
    noise: NoiseSource,
    noise_scale: float = 1.0,
    churn: float = 1.0,
) -> Float[Tensor, "b *d"]:
    """Walk from `x_init`, noise at `timesteps[0]`, to clean data at one network call per step.

    `churn` is how much noise is taken out and put back on the way: 0 is the deterministic flow, 1
    the reverse of the noising process, more corrects more and needs more steps. `noise_scale`
    below 1 puts back less than was taken out: less variety, cleaner samples. The clean estimate
    is extrapolated from the last two steps and the rest is integrated exactly. Lu et al. 2022,
    DPM-Solver++, SDE-DPM-Solver++(2M) at churn 1; Xue et al. 2023, section 4, for any churn.
    """
    x = x_init
    previous: tuple[Tensor, float] | None = None
    for now, earlier in iterate_steps(process, timesteps):
        timestep = torch.full((x.shape[0],), now, device=x.device)
        x0 = denoise(x, timestep).x0
        if earlier == CLEAN:
            return x0
        rise = _half_log_snr(process, earlier) - _half_log_snr(process, now)
        estimate = x0 if previous is None else x0 + 0.5 * rise / previous[1] * (x0 - previous[0])
        on_x, on_x0, deviation = _coefficients(process, now, earlier, churn)
        x = on_x * x + on_x0 * estimate
        if churn > 0 and noise_scale > 0:
            x = x + noise_scale * deviation * noise(x)
        previous = (x0, rise)
    return x


def _coefficients(
    process: GaussianProcess, now: int, earlier: int, churn: float
) -> tuple[float, float, float]:
    """Weights of the sample and the clean estimate, and the noise's deviation, for one step."""
    alpha_bar, alpha_bar_earlier = process.alpha_bar(torch.tensor([now, earlier])).tolist()
    rise = _half_log_snr(process, earlier) - _half_log_snr(process, now)
    spread = math.sqrt(1.0 - alpha_bar_earlier)
    on_x = spread / math.sqrt(1.0 - alpha_bar) * math.exp(-(churn**2) * rise)
    on_x0 = -math.sqrt(alpha_bar_earlier) * math.expm1(-(1.0 + churn**2) * rise)
    return on_x, on_x0, spread * math.sqrt(-math.expm1(-2.0 * churn**2 * rise))


def _half_log_snr(process: GaussianProcess, timestep: int) -> float:
    return 0.5 * float(process.snr(torch.tensor([timestep])).log())
