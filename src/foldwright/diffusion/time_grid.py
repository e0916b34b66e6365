"""Which timesteps a sampler visits.

A grid is a strictly falling list of timesteps; every sampler goes on from its last entry to noise-
free data. A chain shorter than the training schedule should be even in log signal-to-noise ratio:
proteins have structure from 20 Å (the whole chain) to 0.1 Å (bonds), and such a grid treats all
scales alike. docs/sampling.md has the measurement.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import Literal

import torch
from jaxtyping import Int64
from torch import Tensor

from foldwright.diffusion.process import CLEAN, GaussianProcess
from foldwright.runtime.errors import InputError

Spacing = Literal["log_snr", "uniform"]


def build_grid(
    process: GaussianProcess, num_steps: int, *, spacing: Spacing = "log_snr"
) -> Int64[Tensor, "s"]:
    """Choose `num_steps` distinct timesteps from the noisiest to the least noisy.

    With as many steps as the schedule has, the grid is the whole schedule under either spacing;
    a single step is the noisiest one.
    """
    if not 1 <= num_steps <= process.num_timesteps:
        raise InputError(
            f"the number of sampling steps must be between 1 and {process.num_timesteps}, the "
            f"timesteps the model was trained with: got {num_steps}"
        )
    last = process.num_timesteps - 1
    if num_steps == 1:
        return torch.tensor([last])
    if spacing == "uniform":
        times = torch.linspace(last, 0, num_steps, dtype=torch.float64)
    else:
        times = _times_even_in_log_snr(process, num_steps)
    return _distinct(times.round().long(), process.num_timesteps)


def iterate_steps(
    process: GaussianProcess, timesteps: Int64[Tensor, "s"]
) -> Iterator[tuple[int, int]]:
    """Pairs (now, earlier) along a grid, ending with (last, CLEAN)."""
    times = timesteps.tolist()
    falling = all(now > earlier for now, earlier in pairwise(times))
    if not times or not falling or times[0] >= process.num_timesteps or times[-1] <= CLEAN:
        raise InputError(
            f"a grid must fall strictly and stay within 0 .. {process.num_timesteps - 1}: got "
            f"{times[:3]} .. {times[-3:]}; make one with build_grid"
        )
    return zip(times, [*times[1:], CLEAN], strict=True)


def _times_even_in_log_snr(process: GaussianProcess, num_steps: int) -> Tensor:
    """Continuous times whose log-SNR is evenly spaced, by linear interpolation of the table."""
    log_snr = process.snr(torch.arange(process.num_timesteps)).log()
    targets = torch.linspace(float(log_snr[-1]), float(log_snr[0]), num_steps, dtype=torch.float64)
    # searchsorted wants rising values, log-SNR falls with time.
    upper = torch.searchsorted(-log_snr, -targets).clamp(1, process.num_timesteps - 1)
    lower = upper - 1
    fraction = (log_snr[lower] - targets) / (log_snr[lower] - log_snr[upper])
    return lower + fraction


def _distinct(times: Int64[Tensor, "s"], num_timesteps: int) -> Int64[Tensor, "s"]:
    """Move rounded times apart where several fell on one timestep."""
    num_steps = times.shape[0]
    position = torch.arange(num_steps)
    apart = torch.cummin(times + position, dim=0).values - position
    # The steps that follow need a timestep each, and so do those before.
    floor = num_steps - 1 - position
    return torch.minimum(torch.maximum(apart, floor), num_timesteps - 1 - position)
