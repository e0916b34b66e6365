"""Marginals, conversions and posteriors of the Gaussian process."""

from pathlib import Path

import numpy as np
import pytest
import torch

from foldwright.diffusion.process import CLEAN, GaussianProcess, broadcast_to_sample
from foldwright.diffusion.schedule import build_schedule

GOLDEN = Path(__file__).parent.parent / "golden" / "genie"
KINDS = ("epsilon", "x0", "v")
TOLERANCE = {torch.float64: 1e-10, torch.float32: 2e-3}


def _process(num_timesteps: int = 100) -> GaussianProcess:
    return GaussianProcess(build_schedule("cosine", num_timesteps))


def _pair(dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Clean sample, noise and one time per item, from least to most noisy."""
    generator = torch.Generator().manual_seed(5)
    x0 = 10 * torch.randn(4, 7, 3, generator=generator, dtype=dtype)
    noise = torch.randn(4, 7, 3, generator=generator, dtype=dtype)
    return x0, noise, torch.tensor([0, 13, 60, 99])


@pytest.mark.parametrize("precision", ["64", "32"])
def test_noising_equals_the_original(precision: str) -> None:
    stored = np.load(GOLDEN / "forward_noising.npz")
    dtype = {"64": torch.float64, "32": torch.float32}[precision]
    read = {k[3:]: torch.from_numpy(stored[k]) for k in stored if k.startswith("in.")}
    mask = read["mask"].to(dtype)[..., None]
    noised = _process().add_noise(
        read["trans"].to(dtype), read["noise"].to(dtype) * mask, read["s"]
    )
    expected = torch.from_numpy(stored["out64.trans"])
    atol = {"64": 1e-9, "32": 1e-5}[precision]
    torch.testing.assert_close(noised.double(), expected, rtol=0, atol=atol)


@pytest.mark.parametrize("dtype", list(TOLERANCE))
@pytest.mark.parametrize("kind", KINDS)
def test_a_perfect_output_gives_back_clean_sample_and_noise(kind: str, dtype: torch.dtype) -> None:
    process = _process()
    x0, noise, timestep = _pair(dtype)
    x = process.add_noise(x0, noise, timestep)
    output = process.target(kind, x0, noise, timestep)  # type: ignore[arg-type]
    prediction = process.prediction(kind, x, output, timestep)  # type: ignore[arg-type]
    tolerance = {"rtol": 0.0, "atol": TOLERANCE[dtype]}
    torch.testing.assert_close(prediction.x0, x0, **tolerance)
    torch.testing.assert_close(prediction.epsilon, noise, **tolerance)


@pytest.mark.parametrize("first", KINDS)
@pytest.mark.parametrize("second", KINDS)
def test_parameterisations_round_trip(first: str, second: str) -> None:
    """Any output, right or wrong, survives a conversion there and back."""
    process = _process()
    x, output, timestep = _pair()
    there = process.prediction(first, x, output, timestep)  # type: ignore[arg-type]
    other = process.target(second, there.x0, there.epsilon, timestep)  # type: ignore[arg-type]
    back = process.prediction(second, x, other, timestep)  # type: ignore[arg-type]
    again = process.target(first, back.x0, back.epsilon, timestep)  # type: ignore[arg-type]
    torch.testing.assert_close(again, output, rtol=0, atol=1e-9)


def test_prediction_always_explains_the_sample() -> None:
    """x_t is the noised x0 for each parameterisation, which pins the signs of v."""
    process = _process()
    x, output, timestep = _pair()
    for kind in KINDS:
        prediction = process.prediction(kind, x, output, timestep)  # type: ignore[arg-type]
        rebuilt = process.add_noise(prediction.x0, prediction.epsilon, timestep)
        torch.testing.assert_close(rebuilt, x, rtol=0, atol=1e-9)


@pytest.mark.parametrize("earlier", [59, 30, 0, CLEAN])
def test_posterior_agrees_with_bayes(earlier: int) -> None:
    """Integrating the posterior over q(x_t | x_0) must give q(x_s | x_0)."""
    process = _process()
    timestep, s = torch.tensor([60]), torch.tensor([earlier])
    x0 = torch.tensor([[3.0]]).double()
    # The mean is linear in x_t: at the marginal mean, and its slope on x_t.
    centre = process.add_noise(x0, torch.zeros(1, 1).double(), timestep)
    mean, variance = process.posterior(centre, x0, timestep, s)
    shifted, _ = process.posterior(centre + 1, x0, timestep, s)
    total = variance + (shifted - mean)[0] ** 2 * (1 - process.alpha_bar(timestep))
    torch.testing.assert_close(mean[0], 3.0 * process.alpha_bar(s).sqrt())
    torch.testing.assert_close(total, 1 - process.alpha_bar(s), rtol=1e-12, atol=1e-15)


def test_times_are_per_item() -> None:
    """Item 2 of a mixed batch equals the same item alone."""
    process = _process()
    x0, noise, timestep = _pair(torch.float32)
    together = process.add_noise(x0, noise, timestep)
    alone = process.add_noise(x0[2:3], noise[2:3], timestep[2:3])
    assert torch.equal(together[2:3], alone)


def test_clean_time_changes_nothing() -> None:
    x0, noise, _ = _pair()
    assert torch.equal(_process().add_noise(x0, noise, torch.full((4,), CLEAN)), x0)


def test_snr_falls_from_infinity() -> None:
    snr = _process().snr(torch.arange(CLEAN, 100))
    assert torch.isinf(snr[0])
    assert bool((snr.diff() < 0).all())
    torch.testing.assert_close(snr[-1], torch.tensor(np.tan(np.pi / 2 / 101) ** 2))


@pytest.mark.parametrize("timestep", [-2, 100])
def test_a_time_outside_the_chain_is_refused(timestep: int) -> None:
    with pytest.raises(RuntimeError, match="out of bounds"):
        _process().alpha_bar(torch.tensor([timestep]))


def test_broadcast_takes_dtype_and_rank_of_the_sample() -> None:
    spread = broadcast_to_sample(torch.tensor([1.0, 2.0]).double(), torch.zeros(2, 5, 3))
    assert spread.shape == (2, 1, 1)
    assert spread.dtype == torch.float32
