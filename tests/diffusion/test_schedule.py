"""Schedules against the original tables and closed forms."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from foldwright.diffusion.process import CLEAN, GaussianProcess
from foldwright.diffusion.schedule import (
    Schedule,
    build_schedule,
    cosine_betas,
    linear_betas,
)
from foldwright.runtime.errors import InputError

GOLDEN = Path(__file__).parent.parent / "golden" / "genie"


def _posterior_coefficients(process: GaussianProcess) -> dict[str, torch.Tensor]:
    """Weights of x0 and x_t, read off the posterior of unit vectors."""
    steps = torch.arange(process.num_timesteps)
    one = torch.ones(process.num_timesteps, 1, dtype=torch.float64)
    on_x0, variance = process.posterior(0 * one, one, steps, steps - 1)
    on_x, _ = process.posterior(one, 0 * one, steps, steps - 1)
    return {
        "posterior_mean_coef1": on_x0[:, 0],
        "posterior_mean_coef2": on_x[:, 0],
        "posterior_variance": variance,
    }


def _tables(schedule: Schedule) -> dict[str, torch.Tensor]:
    """The sixteen tables of the original, computed from our process."""
    process = GaussianProcess(schedule)
    steps = torch.arange(schedule.num_timesteps)
    now, previous = process.alpha_bar(steps), process.alpha_bar(steps - 1)
    one, zero = torch.ones(len(steps), dtype=torch.float64), torch.zeros(len(steps)).double()
    tables = {
        "betas": schedule.betas,
        "alphas": now / previous,
        "alphas_cumprod": now,
        "alphas_cumprod_prev": previous,
        "one_minus_alphas_cumprod": 1 - now,
        "one_minus_alphas_cumprod_prev": 1 - previous,
        "sqrt_betas": schedule.betas.sqrt(),
        "sqrt_alphas": (now / previous).sqrt(),
        "sqrt_alphas_cumprod": process.add_noise(one, zero, steps),
        "sqrt_alphas_cumprod_prev": process.add_noise(one, zero, steps - 1),
        "sqrt_one_minus_alphas_cumprod": process.add_noise(zero, one, steps),
        "sqrt_recip_alphas_cumprod": process.x0_from_epsilon(one, zero, steps),
        "sqrt_recipm1_alphas_cumprod": -process.x0_from_epsilon(zero, one, steps),
    }
    return tables | _posterior_coefficients(process)


def _assert_matches(path: Path, schedule: Schedule) -> None:
    stored = np.load(path)
    tables = _tables(schedule)
    names = {key.removeprefix("out64.") for key in stored if key.startswith("out64.")}
    assert names == set(tables)
    for name, table in tables.items():
        # Large reciprocals are compared relatively, as the reference asks.
        np.testing.assert_allclose(
            table.numpy(), stored[f"out64.{name}"], rtol=1e-10, atol=1e-9, err_msg=name
        )


@pytest.mark.parametrize("num_timesteps", [10, 100])
def test_cosine_equals_the_original(num_timesteps: int) -> None:
    path = GOLDEN / f"schedule_cosine_{num_timesteps}.npz"
    _assert_matches(path, build_schedule("cosine", num_timesteps))


@pytest.mark.parametrize("name", ["cosine", "linear"])
def test_thousand_steps_equal_the_original(name: str, shared_golden: Path) -> None:
    path = shared_golden / "genie" / f"schedule_{name}_1000.npz"
    _assert_matches(path, build_schedule(name, 1000))  # type: ignore[arg-type]


def test_cosine_alpha_bars_have_the_closed_form() -> None:
    bars = build_schedule("cosine", 1000).alpha_bars
    expected = [math.cos(math.pi / 2 * (t + 1) / 1001) ** 2 for t in range(1000)]
    torch.testing.assert_close(bars, torch.tensor(expected, dtype=torch.float64), rtol=1e-9, atol=0)


def test_linear_ends() -> None:
    betas = linear_betas(5)
    torch.testing.assert_close(betas[[0, -1]], torch.tensor([1e-4, 0.02]).double())
    torch.testing.assert_close(betas.diff(), torch.full((4,), (0.02 - 1e-4) / 4).double())


def test_karras_sigmas_are_even_in_the_seventh_root() -> None:
    bars = build_schedule("karras", 50).alpha_bars
    roots = ((1 - bars) / bars).sqrt() ** (1 / 7)
    ends = torch.tensor([0.008, 8.0], dtype=torch.float64) ** (1 / 7)
    torch.testing.assert_close(roots[[0, -1]], ends)
    torch.testing.assert_close(roots.diff(), ((ends[1] - ends[0]) / 49).expand(49))


def test_sqrt_alpha_bars_have_the_closed_form() -> None:
    bars = build_schedule("sqrt", 1000).alpha_bars
    expected = [1 - math.sqrt(t / 1000 + 1e-4) for t in range(1000)]
    torch.testing.assert_close(bars, torch.tensor(expected, dtype=torch.float64), rtol=1e-9, atol=0)


def test_tanh_is_the_cosine_with_ten_times_the_noise() -> None:
    sigma = {}
    for name in ("tanh", "cosine"):
        bars = build_schedule(name, 200).alpha_bars  # type: ignore[arg-type]
        sigma[name] = ((1 - bars) / bars).sqrt()
    torch.testing.assert_close(sigma["tanh"], 10 * sigma["cosine"], rtol=1e-8, atol=0)


def test_structdiff_sqrt_keeps_as_much_signal_as_the_original() -> None:
    """Alpha-bars measured on the original code, at two digits."""
    bars = build_schedule("structdiff_sqrt", 1000).alpha_bars
    for timestep, share in ((100, 0.65), (250, 0.19), (500, 0.009), (999, 1.5e-6)):
        assert float(bars[timestep]) == pytest.approx(share, rel=0.06)


def test_one_timestep_is_a_chain() -> None:
    torch.testing.assert_close(cosine_betas(1), torch.tensor([0.5]).double())
    assert GaussianProcess(build_schedule("cosine", 1)).alpha_bar(torch.tensor([CLEAN])) == 1.0


@pytest.mark.parametrize("betas", [[], [0.0, 0.1], [0.5, 1.0], [float("nan")]])
def test_impossible_betas_are_refused(betas: list[float]) -> None:
    with pytest.raises(InputError, match="between 0 and 1"):
        Schedule(torch.tensor(betas, dtype=torch.float64))


def test_no_timesteps_are_refused() -> None:
    with pytest.raises(InputError, match="at least 1 timestep: got 0"):
        cosine_betas(0)
