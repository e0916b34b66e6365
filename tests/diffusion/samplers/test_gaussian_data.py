"""Every sampler must return the mean and spread of Gaussian data given its exact denoiser."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from foldwright.diffusion.denoise import Denoise
from foldwright.diffusion.noise import ItemNoise
from foldwright.diffusion.process import GaussianProcess
from foldwright.diffusion.samplers import ddim, ddpm, dpm_solver, ode, sde
from foldwright.diffusion.time_grid import build_grid

Run = Callable[[Denoise, GaussianProcess, Tensor, Tensor, ItemNoise], Tensor]

RUNS: dict[str, Run] = {
    "ddpm": lambda d, p, x, t, n: ddpm.sample(d, p, x, timesteps=t, noise=n),
    "ddim": lambda d, p, x, t, n: ddim.sample(d, p, x, timesteps=t, noise=n),
    "ddim_eta_1": lambda d, p, x, t, n: ddim.sample(d, p, x, timesteps=t, noise=n, eta=1.0),
    "ode": lambda d, p, x, t, n: ode.sample(d, p, x, timesteps=t),
    "dpm": lambda d, p, x, t, n: dpm_solver.sample(d, p, x, timesteps=t),
    "dpm_order_3": lambda d, p, x, t, n: dpm_solver.sample(d, p, x, timesteps=t, order=3),
    "sde": lambda d, p, x, t, n: sde.sample(d, p, x, timesteps=t, noise=n),
    "sde_churn_half": lambda d, p, x, t, n: sde.sample(d, p, x, timesteps=t, noise=n, churn=0.5),
    "sde_no_churn": lambda d, p, x, t, n: sde.sample(d, p, x, timesteps=t, noise=n, churn=0.0),
}
# First-order samplers lose spread in proportion to the step; second-order ones to its square.
CASES = [
    ("ddpm", 250, 0.03),  # the whole schedule
    ("ddpm", 200, 0.05),
    ("ddim", 200, 0.04),
    ("ddim_eta_1", 200, 0.05),
    ("ode", 50, 0.02),
    ("ode", 20, 0.08),
    ("dpm", 50, 0.02),
    ("dpm", 20, 0.08),
    ("dpm_order_3", 20, 0.05),
    ("sde", 50, 0.03),
    ("sde", 20, 0.07),
    ("sde_churn_half", 50, 0.03),
    ("sde_no_churn", 50, 0.03),
]


def _draw(gaussian: Any, name: str, num_steps: int, points: int) -> Tensor:
    process = gaussian.process(250)
    noise = gaussian.noise((1, 2), (points, points))
    x_init = noise(torch.zeros(2, points, 3, dtype=torch.float64))
    grid = build_grid(process, num_steps)
    return RUNS[name](gaussian.denoiser(process), process, x_init, grid, noise).reshape(-1, 3)


@pytest.mark.parametrize(("name", "num_steps", "tolerance"), CASES)
def test_mean_and_spread_return(gaussian: Any, name: str, num_steps: int, tolerance: float) -> None:
    x = _draw(gaussian, name, num_steps, points=8000)
    means, spreads = gaussian.means, gaussian.spreads
    # Four standard errors of 16,000 draws on top of the tolerance of the method.
    assert bool(((x.mean(0) - means).abs() < 4 * spreads / 16000**0.5 + 0.01 * spreads).all())
    ratio = x.std(0) / spreads
    assert bool(((ratio - 1).abs() < tolerance + 0.022).all()), ratio


def _convergence(gaussian: Any, name: str) -> tuple[list[float], Tensor]:
    """Errors at 50, 100 and 200 steps and the orders between them.

    Against the exact flow, which keeps (x / sqrt(abar) - mean) / sqrt(s^2 + sigma^2).
    """
    process = gaussian.process(100_000)
    means, spreads = gaussian.means, gaussian.spreads
    x_init = torch.tensor([[[0.8, 0.8, 0.8]]], dtype=torch.float64)
    alpha_bar = process.alpha_bar(torch.tensor([process.num_timesteps - 1]))
    start = (x_init[0, 0] / alpha_bar.sqrt() - means) / (spreads**2 + 1 / alpha_bar - 1).sqrt()
    exact = means + spreads * start
    errors = []
    for num_steps in (50, 100, 200):
        grid = build_grid(process, num_steps)
        noise = gaussian.noise((1,), (1,))
        result = RUNS[name](gaussian.denoiser(process), process, x_init, grid, noise)[0, 0]
        errors.append(float(((result - exact) / spreads).abs().max()))
    return errors, torch.tensor(errors).log2().diff().neg()


@pytest.mark.parametrize(
    ("name", "order"), [("ode", 2.0), ("ddim", 1.0), ("dpm", 2.0), ("sde_no_churn", 2.0)]
)
def test_order_of_convergence(gaussian: Any, name: str, order: float) -> None:
    errors, measured = _convergence(gaussian, name)
    assert bool(((measured - order).abs() < 0.25).all()), (errors, measured)


def test_third_order_converges_faster(gaussian: Any) -> None:
    errors, measured = _convergence(gaussian, "dpm_order_3")
    assert bool((measured > 2.75).all()), (errors, measured)
    assert errors[0] < 0.1 * _convergence(gaussian, "dpm")[0][0]


@pytest.mark.parametrize("run", [ddpm.sample, sde.sample])
def test_noise_scale_scales_the_spread(gaussian: Any, run: Callable[..., Tensor]) -> None:
    """Started without noise, linear Gaussian sampling has noise_scale times the spread."""
    process = gaussian.process()
    centred = replace(gaussian, means=0 * gaussian.means)
    spreads = []
    for noise_scale in (1.0, 0.6, 0.0):
        noise = gaussian.noise((3,), (4000,))
        x_init = torch.zeros(1, 4000, 3, dtype=torch.float64)
        grid = build_grid(process, 100)
        x = run(
            centred.denoiser(process),
            process,
            x_init,
            timesteps=grid,
            noise=noise,
            noise_scale=noise_scale,
        )
        spreads.append(x[0].std(0))
    torch.testing.assert_close(spreads[1], 0.6 * spreads[0])
    torch.testing.assert_close(spreads[2], 0.0 * spreads[0])


@pytest.mark.parametrize("name", list(RUNS))
def test_an_item_does_not_depend_on_its_companions(gaussian: Any, name: str) -> None:
    """Bitwise: alone and unpadded, or padded among others."""
    process = gaussian.process(50)
    grid = build_grid(process, 20)

    def run(seeds: tuple[int, ...], lengths: tuple[int, ...], width: int) -> Tensor:
        noise = gaussian.noise(seeds, lengths)
        x_init = noise(torch.zeros(len(seeds), width, 3))
        return RUNS[name](gaussian.denoiser(process), process, x_init, grid, noise)

    alone = run((8,), (6,), 6)
    among = run((7, 8, 9), (9, 6, 4), 9)
    assert torch.equal(among[1, :6], alone[0])
