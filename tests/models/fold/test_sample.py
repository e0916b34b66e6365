"""The sampler against known answers, without a network."""

import math

import pytest
import torch
from torch import Tensor

from foldwright.models.fold.config import FoldSamplerConfig
from foldwright.models.fold.sample import (
    noise_levels,
    rotation_from_vectors,
    sample_positions,
    seeded_draws,
)

REAL = torch.ones(5, 24, dtype=torch.bool)


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_levels_fall_from_2560_to_the_smallest() -> None:
    levels = noise_levels(200)
    assert len(levels) == 201
    assert levels[0] == pytest.approx(2560, rel=1e-6)
    assert levels[-1] == pytest.approx(0.0064, rel=1e-5)
    assert (levels.diff() < 0).all()


def test_an_exact_denoiser_of_gaussian_data_gives_its_spread() -> None:
    spread = 3.0

    def denoise(positions: Tensor, level: Tensor) -> Tensor:
        return positions * spread**2 / (spread**2 + level**2)

    config = FoldSamplerConfig(gamma=0.0, step_scale=1.0, steps=100)
    found = sample_positions(
        denoise,
        torch.ones(4000, 24, dtype=torch.bool),
        noise_levels(100),
        [seeded_draws(torch.ones(4000, 24, dtype=torch.bool), _generator(0))],
        config,
    )
    centred = found - found.mean((1, 2))
    # Euler's steps on this schedule lose a few per cent of the spread.
    assert float(centred.std()) == pytest.approx(spread, rel=0.06)


def test_no_noise_is_added_below_the_threshold() -> None:
    seen = []

    def denoise(positions: Tensor, level: Tensor) -> Tensor:
        seen.append(float(level))
        return torch.zeros_like(positions)

    levels = torch.tensor([4.0, 2.0, 1.0, 0.5])
    draws = seeded_draws(REAL, _generator(1))
    found = sample_positions(denoise, REAL, levels, [draws], FoldSamplerConfig(steps=3))
    assert seen == pytest.approx([4 * 1.8, 2.0, 1.0])
    assert torch.isfinite(found).all()


def test_empty_slots_end_at_zero_and_do_not_move_the_others() -> None:
    real = REAL.clone()
    real[:, 7:] = False

    def denoise(positions: Tensor, level: Tensor) -> Tensor:
        return positions * 0.5

    found = sample_positions(
        denoise, real, noise_levels(4), [seeded_draws(real, _generator(2))], FoldSamplerConfig()
    )
    assert (found[0, :, 7:] == 0).all()
    assert (found[0, :, :7] != 0).any()


def test_without_atoms_the_centre_is_finite() -> None:
    none = torch.zeros(2, 24, dtype=torch.bool)
    found = sample_positions(
        lambda positions, level: positions,
        none,
        noise_levels(2),
        [seeded_draws(none, _generator(3))],
        FoldSamplerConfig(),
    )
    assert torch.equal(found, torch.zeros(1, 2, 24, 3))


def test_rotations_are_proper_and_uniform() -> None:
    rotations = torch.stack(
        [rotation_from_vectors(torch.randn(2, 3, generator=_generator(i))) for i in range(400)]
    )
    identity = torch.eye(3).expand(400, 3, 3)
    torch.testing.assert_close(rotations @ rotations.mT, identity, rtol=0, atol=1e-5)
    assert (torch.linalg.det(rotations) > 0.999).all()
    assert rotations.mean(0).abs().max() < 4 / math.sqrt(3 * 400)


def test_degenerate_vectors_give_finite_rotations() -> None:
    for vectors in (torch.zeros(2, 3), torch.ones(2, 3)):
        assert torch.isfinite(rotation_from_vectors(vectors)).all()
