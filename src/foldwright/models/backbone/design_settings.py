"""What a design run is asked for, checked before any work starts."""

import re
from dataclasses import dataclass
from typing import Literal

import torch
from pydantic import Field

from foldwright.diffusion.time_grid import Spacing
from foldwright.runtime.config import Config
from foldwright.runtime.errors import InputError, Problem
from foldwright.runtime.seeds import make_generator

SamplerName = Literal["ddpm", "ddim", "ode", "sde"]

MIN_LENGTH = 20

# Steps when none are given (None: every training timestep), and the options a sampler reads.
_DEFAULT_STEPS: dict[SamplerName, int | None] = {"ddpm": None, "ddim": 100, "ode": 50, "sde": 100}
_DEFAULT_OPTIONS: dict[SamplerName, dict[str, float]] = {
    "ddpm": {"noise_scale": 0.6},
    "ddim": {"eta": 0.0},
    "ode": {},
    "sde": {"noise_scale": 0.7, "churn": 1.0},
}
_HIGHEST = {"noise_scale": 2.0, "eta": 1.0, "churn": 10.0}
_INSTEAD = {
    ("ddim", "noise_scale"): "write --eta for the noise of ddim, or --sampler sde to scale noise",
    ("ddim", "churn"): "write --eta for the noise of ddim, or --sampler sde",
    ("ode", "noise_scale"): "ode is deterministic: leave it out, or write --sampler sde",
    ("ode", "eta"): "ode is deterministic: leave it out, or write --sampler ddim",
    ("ode", "churn"): "ode is deterministic: leave it out, or write --sampler sde",
    ("ddpm", "eta"): "write --noise-scale for the noise of ddpm, or --sampler ddim",
    ("ddpm", "churn"): "write --noise-scale for the noise of ddpm, or --sampler sde",
    ("sde", "eta"): "write --churn and --noise-scale for the noise of sde, or --sampler ddim",
}


class DesignSettings(Config):
    """One design run as the user asks for it; None takes the default of the sampler."""

    length: str = Field("128", description="residues, as 128, or as 80-120 drawn per design")
    num: int = Field(1, description="number of designs")
    seed: int = Field(0, description="seed of the run; design i has its own seed made of it and i")
    sampler: SamplerName = Field("sde", description="ddpm (as Genie), ddim, ode or sde")
    steps: int | None = Field(
        None,
        description="sampling steps; default: ddpm all of the training's, ddim 100, ode 50, "
        "sde 100",
    )
    noise_scale: float | None = Field(
        None,
        description="noise of ddpm and sde, default 0.6 and 0.7; below 1 is cleaner, less varied",
    )
    eta: float | None = Field(
        None, description="noise of ddim, from 0 (none, the default) to 1 (as ddpm)"
    )
    churn: float | None = Field(
        None, description="how much noise sde replaces on its way, default 1; 0 is deterministic"
    )
    spacing: Spacing = Field("log_snr", description="spacing of the steps")
    restrain: bool = Field(
        True,
        description="hold the clean estimate to C-alpha bonds of 3.8 Å, possible bends and no "
        "clashes once the noise is below 2 Å",
    )
    batch: int | None = Field(
        None, description="designs per batch; default: by memory, on the CPU 1"
    )


@dataclass(frozen=True)
class SamplerPlan:
    """A sampler with every number it needs; `options` are its keyword arguments."""

    sampler: SamplerName
    num_steps: int
    spacing: Spacing
    options: dict[str, float]
    restrain: bool


@dataclass(frozen=True)
class LengthRange:
    """Lengths from `low` to `high`, both included."""

    low: int
    high: int

    def draw(self, seed: int, index: int) -> int:
        """Choose the length of design `index`, uniformly and from a seed of its own."""
        generator = make_generator(seed, index, "length")
        return int(torch.randint(self.low, self.high + 1, (), generator=generator))


@dataclass(frozen=True)
class DesignPlan:
    """A checked design run."""

    lengths: LengthRange
    sampler: SamplerPlan


def resolve_settings(
    settings: DesignSettings, *, num_timesteps: int, max_length: int
) -> DesignPlan:
    """Check the settings against a model and fill in what was left open.

    Raises:
        InputError: everything that is wrong, each with what to write instead.
    """
    problems = _count_problems(settings) + _option_problems(settings)
    lengths = _parse_lengths(settings.length)
    if isinstance(lengths, Problem):
        problems.append(lengths)
    else:
        problems += _length_problems(lengths, max_length)
    steps = settings.steps or _DEFAULT_STEPS[settings.sampler] or num_timesteps
    if settings.steps is None:
        steps = min(steps, num_timesteps)
    elif not 1 <= settings.steps <= num_timesteps:
        message = (
            f"must be between 1 and {num_timesteps}, the timesteps this model was trained with: "
            f"got {settings.steps}"
        )
        problems.append(Problem("--steps", message))
    if problems or isinstance(lengths, Problem):
        raise InputError(problems)
    options = {**_DEFAULT_OPTIONS[settings.sampler], **_given_options(settings)}
    sampler = SamplerPlan(
        settings.sampler, steps, settings.spacing, options, restrain=settings.restrain
    )
    return DesignPlan(lengths, sampler)


def _given_options(settings: DesignSettings) -> dict[str, float]:
    """The options of samplers that were set, whether or not the sampler reads them."""
    options = {"noise_scale": settings.noise_scale, "eta": settings.eta, "churn": settings.churn}
    return {name: value for name, value in options.items() if value is not None}


def _count_problems(settings: DesignSettings) -> list[Problem]:
    problems = []
    if settings.num < 1:
        problems.append(Problem("--num", f"must be 1 or more: got {settings.num}"))
    if settings.batch is not None and settings.batch < 1:
        message = f"must be 1 or more: got {settings.batch}; leave it out to go by memory"
        problems.append(Problem("--batch", message))
    if settings.seed < 0:
        problems.append(Problem("--seed", f"must be 0 or more: got {settings.seed}"))
    return problems


def _option_problems(settings: DesignSettings) -> list[Problem]:
    """Options that the chosen sampler does not read, that contradict, or are out of range."""
    problems = []
    for name, value in _given_options(settings).items():
        option, highest = "--" + name.replace("_", "-"), _HIGHEST[name]
        if name not in _DEFAULT_OPTIONS[settings.sampler]:
            message = f"is not read by the sampler {settings.sampler}"
            instead = _INSTEAD[settings.sampler, name]
            problems.append(Problem(option, f"{message}; {instead}"))
        elif not 0 <= value <= highest:
            message = f"must be between 0 and {highest:g}: got {value:g}"
            problems.append(Problem(option, message))
    if settings.sampler == "sde" and settings.churn == 0 and settings.noise_scale is not None:
        message = "scales nothing with --churn 0; leave it out, or write a churn above 0"
        problems.append(Problem("--noise-scale", message))
    return problems


def _parse_lengths(text: str) -> LengthRange | Problem:
    match = re.fullmatch(r"\s*(\d+)\s*(?:-\s*(\d+)\s*)?", text)
    if match is None:
        return Problem("--length", f"expected 128 or 80-120: got {text!r}")
    low, high = int(match[1]), int(match[2] or match[1])
    if low > high:
        return Problem("--length", f"the shorter length comes first: write {high}-{low}")
    return LengthRange(low, high)


def _length_problems(lengths: LengthRange, max_length: int) -> list[Problem]:
    problems = []
    if lengths.low < MIN_LENGTH:
        message = f"must be {MIN_LENGTH} residues or more: got {lengths.low}"
        problems.append(Problem("--length", message))
    if lengths.high > max_length:
        message = (
            f"these weights know chains of up to {max_length} residues: got {lengths.high}; "
            f"write {max_length} or less, or take weights trained on longer chains"
        )
        problems.append(Problem("--length", message))
    return problems
