"""Samplers that are the same method in special cases must give the same numbers."""

from typing import Any

import pytest
import torch

from foldwright.diffusion.denoise import with_projection, with_step_callback
from foldwright.diffusion.noise import ItemNoise
from foldwright.diffusion.process import CLEAN, GaussianProcess, Prediction
from foldwright.diffusion.samplers import ddim, ddpm, dpm_solver, ode, sde
from foldwright.diffusion.schedule import build_schedule
from foldwright.diffusion.time_grid import build_grid

CLOSE = {"rtol": 1e-9, "atol": 1e-9}


def _start(gaussian: Any, points: int = 5) -> tuple[ItemNoise, torch.Tensor]:
    noise = gaussian.noise((4, 5), (points, points))
    return noise, noise(torch.zeros(2, points, 3, dtype=torch.float64))


def test_ddim_with_full_noise_is_ancestral_sampling(gaussian: Any) -> None:
    process, grid = gaussian.process(), build_grid(gaussian.process(), 30)
    # Neighbouring timesteps take Genie's deviation, so the grid of this test skips.
    grid = grid[torch.cat([torch.tensor([True]), grid.diff() < -1])]
    results = []
    for sample, extra in ((ddpm.sample, {}), (ddim.sample, {"eta": 1.0})):
        noise, x = _start(gaussian)
        results.append(
            sample(gaussian.denoiser(process), process, x, timesteps=grid, noise=noise, **extra)
        )
    torch.testing.assert_close(*results, **CLOSE)


@pytest.mark.parametrize(("churn", "eta"), [(0.0, 0.0), (1.0, 1.0)])
def test_first_step_of_sde_is_ddim(gaussian: Any, churn: float, eta: float) -> None:
    """Without a history both hold the clean estimate fixed over the step."""
    process, grid = gaussian.process(), torch.tensor([800, 300])
    noise, x = _start(gaussian)
    by_sde = sde.sample(
        gaussian.denoiser(process), process, x, timesteps=grid, noise=noise, churn=churn
    )
    noise, x = _start(gaussian)
    by_ddim = ddim.sample(
        gaussian.denoiser(process), process, x, timesteps=grid, noise=noise, eta=eta
    )
    torch.testing.assert_close(by_sde, by_ddim, **CLOSE)


def test_dpm_solver_of_first_order_is_ddim(gaussian: Any) -> None:
    process, grid = gaussian.process(), build_grid(gaussian.process(), 12)
    noise, x = _start(gaussian)
    by_ddim = ddim.sample(gaussian.denoiser(process), process, x, timesteps=grid, noise=noise)
    by_dpm = dpm_solver.sample(gaussian.denoiser(process), process, x, timesteps=grid, order=1)
    torch.testing.assert_close(by_dpm, by_ddim, **CLOSE)


def test_dpm_solver_is_exact_where_the_estimate_is_a_polynomial() -> None:
    """Clean estimates of degree order - 1 in the half log-SNR: no error once enough are known.

    With estimates that do not depend on x the step is the integral alone, here by fine quadrature.
    """
    process = GaussianProcess(build_schedule("cosine", 1000))
    grid = torch.tensor([900, 700, 480, 300])

    def half_log_snr(timestep: torch.Tensor) -> torch.Tensor:
        return 0.5 * process.snr(timestep).log()

    for order in (1, 2, 3):

        def denoise(x: torch.Tensor, timestep: torch.Tensor, power: int = order - 1) -> Prediction:
            x0 = (half_log_snr(timestep)[:, None] ** power).expand_as(x)
            return Prediction(x0, process.epsilon_from_x0(x, x0, timestep))

        states = []

        def watch(x: torch.Tensor, timestep: torch.Tensor, seen: list = states) -> Prediction:
            seen.append(x)
            return denoise(x, timestep)

        start = torch.ones(1, 1, dtype=torch.float64)
        dpm_solver.sample(watch, process, start, timesteps=grid, order=order)
        before, after = grid[-2:]
        low, high = half_log_snr(grid[-2:]).tolist()
        points = torch.linspace(low, high, 20001, dtype=torch.float64)
        inner = torch.trapezoid(points ** (order - 1) * (points - high).exp(), points)
        alpha_bar = process.alpha_bar(torch.stack([before, after]))
        kept = ((1 - alpha_bar[1]) / (1 - alpha_bar[0])).sqrt()
        expected = kept * states[-2] + alpha_bar[1].sqrt() * inner
        torch.testing.assert_close(states[-1], expected, rtol=1e-7, atol=1e-7)


def test_dpm_solver_and_ddim_meet_in_the_limit(gaussian: Any) -> None:
    process = gaussian.process(1000)
    _, x = _start(gaussian)
    grid = build_grid(process, 300)
    by_dpm = dpm_solver.sample(gaussian.denoiser(process), process, x, timesteps=grid)
    noise, _ = _start(gaussian)
    by_ddim = ddim.sample(gaussian.denoiser(process), process, x, timesteps=grid, noise=noise)
    assert bool(((by_dpm - by_ddim).abs() / gaussian.spreads < 0.03).all())


def test_neighbouring_steps_are_genies(gaussian: Any) -> None:
    """The mean and deviation in the words of the original program, at mixed timesteps."""
    process = gaussian.process(100)
    timestep = torch.tensor([99, 50, 1])
    generator = torch.Generator().manual_seed(0)
    x, epsilon, z = torch.randn(3, 3, 6, 3, generator=generator, dtype=torch.float64)
    prediction = process.prediction("epsilon", x, epsilon, timestep)
    ours = ddpm.reverse_step(process, x, prediction, timestep, timestep - 1, 0.6 * z)
    beta = process.schedule.betas[timestep][:, None, None]
    alpha_bar = process.schedule.alpha_bars[timestep][:, None, None]
    mean = (x - beta / (1 - alpha_bar).sqrt() * epsilon) / (1 - beta).sqrt()
    torch.testing.assert_close(ours, mean + 0.6 * beta.sqrt() * z, **CLOSE)


def test_only_the_items_that_arrive_get_no_noise(gaussian: Any) -> None:
    process = gaussian.process(100)
    timestep = torch.tensor([0, 2])
    x, z = torch.ones(2, 4, 3), torch.ones(2, 4, 3)
    prediction = process.prediction("x0", x, x, timestep)
    quiet, noisy = (
        ddpm.reverse_step(process, x, prediction, timestep, timestep - 1, scale * z)
        for scale in (0.0, 1.0)
    )
    assert torch.equal(quiet[0], noisy[0])
    assert torch.equal(quiet[0], prediction.x0[0])
    deviation = process.schedule.betas[2].sqrt().float()
    torch.testing.assert_close(noisy[1] - quiet[1], deviation.expand(4, 3))


def test_noise_is_drawn_for_all_steps_but_the_last(gaussian: Any) -> None:
    process, drawn = gaussian.process(8), []

    def noise(like: torch.Tensor) -> torch.Tensor:
        drawn.append(like)
        return torch.zeros_like(like)

    x = torch.ones(1, 2, 3, dtype=torch.float64)
    for run, extra, draws in (
        (ddpm.sample, {}, 7),
        (sde.sample, {}, 7),
        (ddim.sample, {"eta": 0.5}, 7),
        (ddim.sample, {}, 0),
        (sde.sample, {"churn": 0.0}, 0),
    ):
        drawn.clear()
        grid = build_grid(process, 8)
        run(gaussian.denoiser(process), process, x, timesteps=grid, noise=noise, **extra)
        assert len(drawn) == draws


@pytest.mark.parametrize(
    "run", [ddpm.sample, ddim.sample, dpm_solver.sample, sde.sample, ode.sample]
)
def test_a_projection_rules_the_result(gaussian: Any, run: Any) -> None:
    """Projecting every clean estimate onto one structure must give that structure."""
    process = gaussian.process(50)
    wanted = torch.arange(30, dtype=torch.float64).reshape(2, 5, 3)
    denoise = with_projection(gaussian.denoiser(process), process, lambda x0, _: 0 * x0 + wanted)
    noise, x = _start(gaussian)
    extra = {} if run in (ode.sample, dpm_solver.sample) else {"noise": noise}
    result = run(denoise, process, x, timesteps=build_grid(process, 10), **extra)
    torch.testing.assert_close(result, wanted, **CLOSE)


def test_a_projection_keeps_clean_sample_and_noise_together(gaussian: Any) -> None:
    process = gaussian.process(50)
    _, x = _start(gaussian)
    timestep = torch.tensor([10, 40])
    projected = with_projection(gaussian.denoiser(process), process, lambda x0, _: x0 + 1.0)
    prediction = projected(x, timestep)
    rebuilt = process.add_noise(prediction.x0, prediction.epsilon, timestep)
    torch.testing.assert_close(rebuilt, x, **CLOSE)


def test_steps_are_reported_once_each(gaussian: Any) -> None:
    """Heun's method evaluates twice a step and still reports once."""
    process, seen = gaussian.process(50), []
    denoise = with_step_callback(gaussian.denoiser(process), seen.append)
    _, x = _start(gaussian)
    grid = build_grid(process, 7)
    ode.sample(denoise, process, x, timesteps=grid)
    assert seen == grid.tolist()


def test_ode_ends_with_the_clean_estimate(gaussian: Any) -> None:
    """One step from pure noise is the denoiser's answer, for every deterministic sampler."""
    process = gaussian.process(50)
    _, x = _start(gaussian)
    grid = build_grid(process, 1)
    belief: Prediction = gaussian.denoiser(process)(x, torch.tensor([49, 49]))
    torch.testing.assert_close(
        ode.sample(gaussian.denoiser(process), process, x, timesteps=grid), belief.x0, **CLOSE
    )
    assert CLEAN not in grid
