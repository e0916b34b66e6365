"""Atom positions by denoising from pure noise, every random number given from outside."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from foldwright.models.fold.config import FoldSamplerConfig
from foldwright.models.fold.network.diffusion_head import SIGMA_DATA

_LARGEST, _SMALLEST, _POWER = 160.0, 0.0004, 7

Denoise = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class StepDraws:
    """The random numbers of one step: a rotation, a shift, and noise for every atom slot."""

    rotation: Float[Tensor, "3 3"]
    translation: Float[Tensor, " 3"]
    noise: Float[Tensor, "n a 3"]


@dataclass(frozen=True)
class SampleDraws:
    """The random numbers of one sample: the start, and those of step i = 0, 1, ..."""

    initial: Float[Tensor, "n a 3"]
    step: Callable[[int], StepDraws]


def noise_levels(steps: int) -> Float[Tensor, " t"]:
    """Levels from 2560 to 0.0064 Å, `steps + 1` of them (Abramson et al. 2024, equation 7)."""
    time = torch.linspace(0, 1, steps + 1, dtype=torch.float64)
    first, last = _LARGEST ** (1 / _POWER), _SMALLEST ** (1 / _POWER)
    return (SIGMA_DATA * (first + time * (last - first)) ** _POWER).float()


def sample_positions(
    denoise: Denoise,
    real: Bool[Tensor, "n a"],
    levels: Float[Tensor, " t"],
    draws: Sequence[SampleDraws],
    config: FoldSamplerConfig,
) -> Float[Tensor, "samples n a 3"]:
    """Denoise one structure for each of `draws`, Å (Abramson et al. 2024, algorithms 18, 19).

    Args:
        denoise: positions of all samples and their noise level to denoised positions.
        real: atoms that exist; the other slots hold leftover noise that reaches nothing and are
            set to zero at the end.
        levels: noise levels, falling.
        draws: all random numbers of every sample.
        config: settings of the steps.
    """
    positions = torch.stack([levels[0] * sample.initial for sample in draws])
    for index in range(len(levels) - 1):
        level, goal = levels[index], levels[index + 1]
        given = [sample.step(index) for sample in draws]
        positions = torch.stack(
            [_augment(one, real, own) for one, own in zip(positions, given, strict=True)]
        )
        gamma = config.gamma if float(goal) > config.gamma_min else 0.0
        raised = level * (1 + gamma)
        added = noise_between(level, raised)
        noise = torch.stack([own.noise for own in given])
        positions = positions + config.noise_scale * added * noise
        slope = (positions - denoise(positions, raised)) / raised
        positions = positions + config.step_scale * (goal - raised) * slope
    return positions * real[..., None]


def noise_between(level: Float[Tensor, ""], raised: Float[Tensor, ""]) -> Float[Tensor, ""]:
    """Return the noise that takes a structure from one level to a higher one, Å.

    At gamma = 0 both are equal up to rounding, which may make the difference of the squares
    negative in a compiled program; it counts as zero.
    """
    return (raised.square() - level.square()).clamp(min=0).sqrt()


def seeded_draws(real: Bool[Tensor, "n a"], generator: torch.Generator) -> SampleDraws:
    """Random numbers of one sample from a generator; steps must be asked for in order."""

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, device=generator.device).to(real.device)

    def step(index: int) -> StepDraws:
        del index  # the generator moves on by itself
        rotation = rotation_from_vectors(normal(2, 3))
        return StepDraws(rotation, normal(3), normal(*real.shape, 3))

    return SampleDraws(normal(*real.shape, 3), step)


def rotation_from_vectors(vectors: Float[Tensor, "2 3"]) -> Float[Tensor, "3 3"]:
    """Orthonormal rows from two vectors by Gram-Schmidt, the third by the cross product.

    Uniform over all rotations if the vectors are normal draws.
    """
    first = vectors[0] / vectors[0].norm().clamp(min=1e-10)
    second = vectors[1] - first * (first @ vectors[1])
    second = second / second.norm().clamp(min=1e-10)
    return torch.stack([first, second, torch.linalg.cross(first, second)])


def _augment(positions: Tensor, real: Tensor, draws: StepDraws) -> Tensor:
    """Centre, turn and shift; empty slots become zero."""
    mask = real[..., None].to(positions.dtype)
    centre = (positions * mask).sum((0, 1)) / mask.sum().clamp(min=1e-6)
    moved: Tensor = ((positions - centre) @ draws.rotation + draws.translation) * mask
    return moved
