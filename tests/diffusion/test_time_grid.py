"""Grids: distinct, complete, and even where they promise to be."""

import pytest
import torch

from foldwright.diffusion.process import CLEAN, GaussianProcess
from foldwright.diffusion.schedule import build_schedule
from foldwright.diffusion.time_grid import build_grid, iterate_steps
from foldwright.runtime.errors import InputError


def _process(num_timesteps: int) -> GaussianProcess:
    return GaussianProcess(build_schedule("cosine", num_timesteps))


@pytest.mark.parametrize("spacing", ["log_snr", "uniform"])
@pytest.mark.parametrize("num_timesteps", [1, 2, 10, 1000])
def test_every_number_of_steps_gives_a_falling_grid(num_timesteps: int, spacing: str) -> None:
    process = _process(num_timesteps)
    for num_steps in {1, 2, num_timesteps // 3, num_timesteps - 1, num_timesteps}:
        if 1 <= num_steps <= num_timesteps:
            grid = build_grid(process, num_steps, spacing=spacing)  # type: ignore[arg-type]
            assert len(grid) == num_steps
            assert bool((grid.diff() < 0).all())
            assert grid[0] == num_timesteps - 1
            assert num_steps == 1 or grid[-1] == 0


@pytest.mark.parametrize("spacing", ["log_snr", "uniform"])
def test_all_steps_are_the_schedule(spacing: str) -> None:
    grid = build_grid(_process(37), 37, spacing=spacing)  # type: ignore[arg-type]
    assert torch.equal(grid, torch.arange(36, -1, -1))


def test_log_snr_falls_evenly_away_from_the_ends() -> None:
    process = _process(1000)
    log_snr = process.snr(build_grid(process, 20)).log()
    even = (log_snr[-1] - log_snr[0]) / 19
    assert bool(((log_snr.diff() / even - 1).abs()[2:-2] < 0.15).all())
    uniform = process.snr(build_grid(process, 20, spacing="uniform")).log().diff() / even
    assert float((uniform - 1).abs().max()) > 1


def test_steps_end_clean() -> None:
    steps = list(iterate_steps(_process(10), torch.tensor([9, 4, 0])))
    assert steps == [(9, 4), (4, 0), (0, CLEAN)]


@pytest.mark.parametrize("grid", [[], [3, 3], [1, 2], [10, 0], [4, -1]])
def test_broken_grids_are_refused(grid: list[int]) -> None:
    with pytest.raises(InputError, match=r"fall strictly and stay within 0 \.\. 9"):
        iterate_steps(_process(10), torch.tensor(grid, dtype=torch.int64))


@pytest.mark.parametrize("num_steps", [0, 11])
def test_too_few_or_too_many_steps_are_refused(num_steps: int) -> None:
    with pytest.raises(InputError, match=f"between 1 and 10.*got {num_steps}"):
        build_grid(_process(10), num_steps)
