"""Guidance and self-conditioning with networks whose answers are known."""

import math

import pytest
import torch
from torch import Tensor

from foldwright.diffusion.guidance import (
    Guidance,
    GuidanceSchedule,
    with_guidance,
    with_self_conditioning,
)
from foldwright.diffusion.process import GaussianProcess, Prediction
from foldwright.diffusion.samplers import dpm_solver
from foldwright.diffusion.schedule import build_schedule
from foldwright.diffusion.time_grid import build_grid

PROCESS = GaussianProcess(build_schedule("cosine", 100))
MEANS = {True: 2.0, False: -1.0}


class TwoMeans:
    """Exact denoiser of N(2, 0.25) when conditioned and N(-1, 0.25) when not; counts its calls."""

    def __init__(self) -> None:
        self.calls: list[list[bool]] = []
        self.previous: list[Tensor | None] = []

    def __call__(
        self, x: Tensor, timestep: Tensor, conditioned: Tensor, previous: Tensor | None
    ) -> Prediction:
        self.calls.append(conditioned.tolist())
        self.previous.append(previous)
        mean = torch.where(conditioned, MEANS[True], MEANS[False]).to(x)[:, None]
        alpha_bar = PROCESS.alpha_bar(timestep).to(x)[:, None]
        gain = alpha_bar.sqrt() * 0.25 / (alpha_bar * 0.25 + 1 - alpha_bar)
        x0 = mean + gain * (x - alpha_bar.sqrt() * mean)
        return Prediction(x0, PROCESS.epsilon_from_x0(x, x0, timestep))


def _noised(dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(3, 4, generator=generator, dtype=dtype), torch.full((3,), 40)


@pytest.mark.parametrize("scale", [1.0, 0.0])
def test_one_and_zero_are_a_single_network_to_the_bit(scale: float) -> None:
    network, (x, timestep) = TwoMeans(), _noised(torch.float32)
    guided = with_guidance(network, PROCESS, Guidance(scale))(x, timestep, None)
    assert network.calls == [[bool(scale)] * 3]
    alone = TwoMeans()(x, timestep, torch.full((3,), bool(scale)), None)
    assert torch.equal(guided.x0, alone.x0)
    assert torch.equal(guided.epsilon, alone.epsilon)


@pytest.mark.parametrize("scale", [0.5, 2.0, 4.0])
def test_guidance_goes_on_along_the_difference(scale: float) -> None:
    network, (x, timestep) = TwoMeans(), _noised()
    guided = with_guidance(network, PROCESS, Guidance(scale))(x, timestep, None)
    assert network.calls == [[True] * 3 + [False] * 3]
    given = TwoMeans()(x, timestep, torch.ones(3, dtype=torch.bool), None)
    null = TwoMeans()(x, timestep, torch.zeros(3, dtype=torch.bool), None)
    torch.testing.assert_close(guided.x0, null.x0 + scale * (given.x0 - null.x0))
    torch.testing.assert_close(
        guided.epsilon, null.epsilon + scale * (given.epsilon - null.epsilon)
    )


@pytest.mark.parametrize("scale", [0.0, 1.0, 2.0])
def test_guided_gaussians_end_where_theory_says(scale: float) -> None:
    """Equal spreads: the guided flow has the mean uncond + scale (cond - uncond)."""
    process = PROCESS
    x = torch.randn(4000, 1, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    guided = with_guidance(TwoMeans(), process, Guidance(scale))
    denoise = with_self_conditioning(guided)
    result = dpm_solver.sample(denoise, process, x, timesteps=build_grid(process, 60))
    expected = MEANS[False] + scale * (MEANS[True] - MEANS[False])
    assert float(result.mean()) == pytest.approx(expected, abs=0.05)
    assert float(result.std()) == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize(
    ("schedule", "middle"),
    [("constant", 3.0), ("linear", 2.0), ("cosine", 2.0)],
)
def test_schedules_over_time(schedule: GuidanceSchedule, middle: float) -> None:
    guidance = Guidance(3.0, schedule)
    process = GaussianProcess(build_schedule("cosine", 101))
    assert guidance.at(0, process) == pytest.approx(3.0)
    assert guidance.at(50, process) == pytest.approx(middle)
    assert guidance.at(100, process) == pytest.approx(3.0 if schedule == "constant" else 1.0)
    if schedule == "cosine":
        assert guidance.at(75, process) == pytest.approx(1 + 2 * (1 - math.cos(math.pi / 4)) / 2)


def test_outside_its_range_of_signal_there_is_no_guidance() -> None:
    guidance = Guidance(3.0, signal_range=(0.1, 0.6))
    signal = PROCESS.alpha_bar(torch.arange(100)).tolist()
    scales = [guidance.at(timestep, PROCESS) for timestep in range(100)]
    assert scales == [3.0 if 0.1 <= share <= 0.6 else 1.0 for share in signal]
    assert 20 < scales.count(3.0) < 60
    network, (x, _) = TwoMeans(), _noised(torch.float32)
    outside = torch.full((3,), 99)
    guided = with_guidance(network, PROCESS, guidance)(x, outside, None)
    assert network.calls == [[True] * 3]  # half the work
    assert torch.equal(guided.x0, TwoMeans()(x, outside, torch.ones(3, dtype=torch.bool), None).x0)


def test_both_halves_get_the_same_earlier_estimate() -> None:
    network, (x, timestep) = TwoMeans(), _noised()
    with_guidance(network, PROCESS, Guidance(2.0))(x, timestep, x + 1)
    (previous,) = network.previous
    assert previous is not None
    assert torch.equal(previous, torch.cat([x + 1, x + 1]))


def test_self_conditioning_hands_on_the_last_estimate() -> None:
    seen: list[Tensor | None] = []

    def network(x: Tensor, timestep: Tensor, previous: Tensor | None) -> Prediction:
        seen.append(previous)
        return Prediction(x + len(seen), x)

    x, timestep = _noised()
    for _ in range(2):  # a new wrapper starts without memory
        denoise = with_self_conditioning(network)
        estimates = [denoise(x, timestep).x0, denoise(x, timestep).x0]
        assert seen[-2] is None
        assert seen[-1] is estimates[0]
