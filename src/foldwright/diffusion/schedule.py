"""Noise schedules: how much noise each discrete timestep adds.

Timestep 0 is the least noisy and `num_timesteps - 1` the noisiest. Everything is float64 on the
CPU: in float32 the first betas of a 1000-step cosine schedule keep two digits only.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float64
from torch import Tensor

from foldwright.runtime.errors import InputError

ScheduleName = Literal["cosine", "linear", "karras", "sqrt", "tanh", "structdiff_sqrt"]

MAX_BETA = 0.999
LINEAR_FIRST_BETA = 1e-4
LINEAR_LAST_BETA = 0.02
KARRAS_SIGMA_MIN = 0.008
KARRAS_SIGMA_MAX = 8.0
KARRAS_POWER = 7.0
SQRT_OFFSET = 1e-4
TANH_SHIFT = 10.0
STRUCTDIFF_FIRST_BETA = 1e-4
STRUCTDIFF_LAST_BETA = 0.02


@dataclass(frozen=True, eq=False)
class Schedule:
    """The variances `betas` of one noising chain, float64, each in (0, 1)."""

    betas: Float64[Tensor, "t"]

    def __post_init__(self) -> None:
        if self.betas.numel() == 0 or not bool(((self.betas > 0) & (self.betas < 1)).all()):
            raise InputError(
                "betas of a noise schedule must be one or more numbers between 0 and 1: got "
                f"{self.betas.numel()} with extremes {self.betas.tolist()[:1]} .. "
                f"{self.betas.tolist()[-1:]}; use build_schedule('cosine', num_timesteps)"
            )

    @property
    def num_timesteps(self) -> int:
        """Length of the chain."""
        return int(self.betas.shape[0])

    @property
    def alpha_bars(self) -> Float64[Tensor, "t"]:
        """Share of the clean signal's variance left at each timestep, `prod(1 - beta)`."""
        return torch.cumprod(1.0 - self.betas, dim=0)


def cosine_betas(num_timesteps: int) -> Float64[Tensor, "t"]:
    """Betas whose alpha-bar is `cos^2(pi/2 * (t+1)/(T+1))`, as Genie was trained with.

    Unlike Nichol and Dhariwal 2021, equation 17, there is no offset, and T+1 in the denominator
    keeps the last alpha-bar above zero, so the clip at 0.999 is never reached.
    """
    _require_positive(num_timesteps)
    grid = torch.arange(num_timesteps + 1, dtype=torch.float64)
    alpha_bars = torch.cos(math.pi / 2 * grid / (num_timesteps + 1)) ** 2
    return (1.0 - alpha_bars[1:] / alpha_bars[:-1]).clamp(0.0, MAX_BETA)


def linear_betas(num_timesteps: int) -> Float64[Tensor, "t"]:
    """Betas rising evenly from 1e-4 to 0.02, whatever the length. Ho et al. 2020, section 4."""
    _require_positive(num_timesteps)
    return torch.linspace(LINEAR_FIRST_BETA, LINEAR_LAST_BETA, num_timesteps, dtype=torch.float64)


def karras_betas(num_timesteps: int) -> Float64[Tensor, "t"]:
    """Betas whose noise-to-signal ratio sigma rises by a power law from 0.008 to 8.

    sigma_t^(1/7) is evenly spaced (Karras et al. 2022, equation 5), and abar = 1 / (1 + sigma^2).
    Timesteps drawn evenly then spend most of their number on the noise levels at which data of unit
    variance take shape.
    """
    _require_positive(num_timesteps)
    lowest, highest = (s ** (1 / KARRAS_POWER) for s in (KARRAS_SIGMA_MIN, KARRAS_SIGMA_MAX))
    grid = torch.linspace(lowest, highest, num_timesteps, dtype=torch.float64) ** KARRAS_POWER
    return _betas_of(1.0 / (1.0 + grid**2))


def sqrt_betas(num_timesteps: int) -> Float64[Tensor, "t"]:
    """Betas whose alpha-bar is `1 - sqrt(t/T + 1e-4)` for t = 0 .. T-1.

    Noise comes fast at first: embeddings of letters stay readable under much of it. Li et al. 2022
    (Diffusion-LM), appendix A.
    """
    _require_positive(num_timesteps)
    grid = torch.arange(num_timesteps, dtype=torch.float64) / num_timesteps
    return _betas_of(1.0 - (grid + SQRT_OFFSET).sqrt())


def tanh_betas(num_timesteps: int) -> Float64[Tensor, "t"]:
    """Betas whose noise-to-signal ratio is `10 tan(pi/2 * (t+1)/(T+1))`, ten times the cosine's.

    DiMA calls it tanh(10). Meshchaninov et al. 2025, section 3; the shift is that of Hoogeboom et
    al. 2023, equation 9.
    """
    _require_positive(num_timesteps)
    grid = torch.arange(1, num_timesteps + 1, dtype=torch.float64) / (num_timesteps + 1)
    return _betas_of(1.0 / (1.0 + (TANH_SHIFT * torch.tan(math.pi / 2 * grid)) ** 2))


def structdiff_sqrt_betas(num_timesteps: int) -> Float64[Tensor, "t"]:
    """Betas that StructDiff calls `sqrt`: their squares rise evenly from 1e-8 to 4e-4.

    The root is taken of the betas' squares, not of the alpha-bars as in `sqrt_betas`.
    """
    _require_positive(num_timesteps)
    ends = STRUCTDIFF_FIRST_BETA**2, STRUCTDIFF_LAST_BETA**2
    return torch.linspace(*ends, num_timesteps, dtype=torch.float64).sqrt()


_BETAS: dict[str, Callable[[int], Tensor]] = {
    "cosine": cosine_betas,
    "linear": linear_betas,
    "karras": karras_betas,
    "sqrt": sqrt_betas,
    "tanh": tanh_betas,
    "structdiff_sqrt": structdiff_sqrt_betas,
}


def build_schedule(name: ScheduleName, num_timesteps: int) -> Schedule:
    """Make the schedule a configuration names."""
    return Schedule(_BETAS[name](num_timesteps))


def _betas_of(alpha_bars: Float64[Tensor, "t"]) -> Float64[Tensor, "t"]:
    whole = torch.cat([torch.ones(1, dtype=torch.float64), alpha_bars])
    return 1.0 - whole[1:] / whole[:-1]


def _require_positive(num_timesteps: int) -> None:
    if num_timesteps < 1:
        raise InputError(
            f"a noise schedule needs at least 1 timestep: got {num_timesteps}; 1000 is usual"
        )
