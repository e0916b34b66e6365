"""What a run of new peptides is asked for, checked before any work starts."""

import re
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Int64
from pydantic import ConfigDict, Field
from torch import Tensor

from foldwright.diffusion.guidance import Guidance, GuidanceSchedule
from foldwright.diffusion.time_grid import Spacing
from foldwright.models.peptide.inputs import SECONDARY_CODES, UNKNOWN_LABEL
from foldwright.models.peptide.label_names import find_labels
from foldwright.models.peptide.partial_design import (
    Interpolation,
    PartialDesign,
    read_partial,
)
from foldwright.runtime.config import Config
from foldwright.runtime.errors import InputError, Problem
from foldwright.runtime.seeds import make_generator

PeptideSampler = Literal["ddpm", "ddim", "dpm", "sde"]

_DEFAULT_STEPS = 25
_DEFAULT_OPTIONS: dict[PeptideSampler, dict[str, int | float]] = {
    "ddpm": {"noise_scale": 1.0},
    "ddim": {"eta": 0.0},
    "dpm": {"order": 2},
    "sde": {"noise_scale": 1.0, "churn": 1.0},
}
_RANGE = {"noise_scale": (0, 2), "eta": (0, 1), "order": (1, 3), "churn": (0, 10)}
_READ_BY = {
    "noise_scale": "--sampler ddpm or sde",
    "eta": "--sampler ddim",
    "order": "--sampler dpm",
    "churn": "--sampler sde",
}
_FREE_LETTERS = "X?-"


class PeptideSettings(Config):
    """One run as the user asks for it; None takes what the rest of the settings suggests."""

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True)

    activity: tuple[str, ...] = Field((), description="activity to have; may be given repeatedly")
    excluded: tuple[str, ...] = Field(
        (), alias="not", description="activity not to have; may be given repeatedly"
    )
    length: str | None = Field(
        None,
        description="residues, as 20, or 12-30 drawn evenly; default: as the peptides of that "
        "activity the model was trained on",
    )
    secondary: str | None = Field(
        None, description="secondary structure by residue, as HHHHCC; H helix, E strand, C coil, X"
    )
    num: int = Field(10, description="number of peptides")
    seed: int = Field(0, description="seed of the run; peptide i has its own made of it and i")
    guidance: float = Field(
        1.0, description="push towards the activities: 1 as learned, 2 strong, 0 ignores them"
    )
    guidance_schedule: GuidanceSchedule = Field(
        "constant", description="push over time: constant, or rising (linear, cosine)"
    )
    sampler: PeptideSampler = Field("sde", description="ddpm, ddim, dpm (DPM-Solver++) or sde")
    steps: int = Field(_DEFAULT_STEPS, description="sampling steps")
    spacing: Spacing = Field("uniform", description="spacing of the steps")
    noise_scale: float | None = Field(None, description="noise of ddpm and sde, default 1")
    eta: float | None = Field(None, description="noise of ddim, 0 (none, the default) to 1")
    order: int | None = Field(None, description="order of dpm: 1, 2 (default) or 3")
    churn: float | None = Field(None, description="how much noise sde replaces, default 1")
    temperature: float = Field(
        0.0, description="spread of the residues read from the result; 0 takes the likeliest"
    )
    template: str | None = Field(
        None, description="residues to keep, with X where any may stand, as KXXLLXX"
    )
    analogue_of: str | None = Field(None, description="peptide to make variants of")
    between: tuple[str, str] | None = Field(None, description="two peptides to go between")
    similarity: float | None = Field(
        None,
        description="how much is kept of --analogue-of or --between, default 0.8: 1 all, 0 nothing",
    )
    unique: bool = Field(True, description="draw again what the run holds already")
    max_run: int | None = Field(
        None, description="draw again peptides with longer runs of one residue"
    )
    min_entropy: float | None = Field(
        None, description="draw again peptides whose residues have a lower entropy, in bits"
    )
    attempts: int = Field(20, description="draws per peptide before it counts as failed")


@dataclass(frozen=True)
class ModelFacts:
    """What settings are checked against."""

    labels: tuple[str, ...]
    max_length: int
    num_timesteps: int
    length_counts: Int64[Tensor, "r c"]


@dataclass(frozen=True)
class SamplerChoice:
    """A sampler with every number it needs; `options` are its keyword arguments."""

    sampler: PeptideSampler
    num_steps: int
    spacing: Spacing
    options: dict[str, int | float]
    temperature: float


@dataclass(frozen=True)
class LengthWeights:
    """How often each length is drawn; the place in `weights` is the length."""

    weights: tuple[float, ...]

    def draw(self, seed: int, index: int) -> int:
        """Choose the length of peptide `index` from a seed of its own."""
        generator = make_generator(seed, index, "length")
        weights = torch.tensor(self.weights, dtype=torch.float64)
        return int(torch.multinomial(weights, 1, generator=generator))


@dataclass(frozen=True)
class DrawRules:
    """What makes a peptide be drawn again, and how often."""

    unique: bool
    max_run: int | None
    min_entropy: float | None
    attempts: int


@dataclass(frozen=True)
class PeptidePlan:
    """A checked run; `labels` is 1, 0 or -1 for each label of the model."""

    labels: tuple[int, ...]
    lengths: LengthWeights
    secondary: tuple[int, ...] | None
    guidance: Guidance
    sampler: SamplerChoice
    rules: DrawRules
    partial: PartialDesign | None

    def length_of(self, seed: int, index: int) -> int:
        """Residues of peptide `index`."""
        if self.partial is not None:
            return self.partial.length_of(index)
        return self.lengths.draw(seed, index)


def resolve_peptide_settings(settings: PeptideSettings, model: ModelFacts) -> PeptidePlan:
    """Check the settings against a model and fill in what was left open.

    Raises:
        InputError: everything that is wrong, each with what to write instead.
    """
    problems: list[Problem] = []
    labels = find_labels(model.labels, settings.activity, settings.excluded, problems)
    partial = read_partial(
        template=settings.template,
        analogue_of=settings.analogue_of,
        between=settings.between,
        similarity=settings.similarity,
        problems=problems,
    )
    problems += _number_problems(settings, model.num_timesteps) + _option_problems(settings)
    problems += _guidance_problems(settings)
    secondary = _read_secondary(settings.secondary, problems)
    lengths = _lengths(settings, model, labels, partial, problems)
    problems += _range_problems(partial, model) + _secondary_problems(settings, partial, lengths)
    if problems:
        raise InputError(problems)
    options = _DEFAULT_OPTIONS[settings.sampler] | _given_options(settings)
    return PeptidePlan(
        labels=labels,
        lengths=lengths,
        secondary=secondary,
        guidance=Guidance(settings.guidance, settings.guidance_schedule),
        sampler=SamplerChoice(
            settings.sampler, settings.steps, settings.spacing, options, settings.temperature
        ),
        rules=DrawRules(settings.unique, settings.max_run, settings.min_entropy, settings.attempts),
        partial=partial,
    )


def _given_options(settings: PeptideSettings) -> dict[str, int | float]:
    options = {
        "noise_scale": settings.noise_scale,
        "eta": settings.eta,
        "order": settings.order,
        "churn": settings.churn,
    }
    return {name: value for name, value in options.items() if value is not None}


def _number_problems(settings: PeptideSettings, num_timesteps: int) -> list[Problem]:
    lowest = {
        "--num": (settings.num, 1),
        "--seed": (settings.seed, 0),
        "--guidance": (settings.guidance, 0),
        "--temperature": (settings.temperature, 0),
        "--attempts": (settings.attempts, 1),
        "--max-run": (settings.max_run, 1),
        "--min-entropy": (settings.min_entropy, 0),
    }
    problems = [
        Problem(option, f"must be {least} or more: got {value:g}")
        for option, (value, least) in lowest.items()
        if value is not None and not value >= least
    ]
    if not 1 <= settings.steps <= num_timesteps:
        message = (
            f"must be between 1 and {num_timesteps}, the timesteps this model was trained with: "
            f"got {settings.steps}"
        )
        problems.append(Problem("--steps", message))
    return problems


def _option_problems(settings: PeptideSettings) -> list[Problem]:
    """Options that the chosen sampler does not read, or that are out of range."""
    problems = []
    for name, value in _given_options(settings).items():
        option, (low, high) = "--" + name.replace("_", "-"), _RANGE[name]
        if name not in _DEFAULT_OPTIONS[settings.sampler]:
            message = f"is not read by the sampler {settings.sampler}"
            problems.append(Problem(option, f"{message}; leave it out, or write {_READ_BY[name]}"))
        elif not low <= value <= high:
            problems.append(Problem(option, f"must be between {low} and {high}: got {value:g}"))
    return problems


def _guidance_problems(settings: PeptideSettings) -> list[Problem]:
    problems = []
    asked = settings.activity or settings.excluded or settings.secondary
    if settings.guidance != 1 and not asked:
        message = "has nothing to push towards; write --activity, --not or --secondary, or leave it"
        problems.append(Problem("--guidance", f"{message} out"))
    if settings.guidance_schedule != "constant" and settings.guidance <= 1:
        message = (
            f"{settings.guidance_schedule} rises from 1 to --guidance: got --guidance "
            f"{settings.guidance:g}; write one above 1, or constant"
        )
        problems.append(Problem("--guidance-schedule", message))
    return problems


def _lengths(
    settings: PeptideSettings,
    model: ModelFacts,
    labels: tuple[int, ...],
    partial: PartialDesign | None,
    problems: list[Problem],
) -> LengthWeights:
    """Lengths as given, or as trained; even where they end in problems."""
    anything = LengthWeights((0.0, 1.0))
    if partial is not None:
        if settings.length is not None:
            message = f"follows from {partial.option}; leave it out"
            problems.append(Problem("--length", message))
        return anything
    if settings.length is None and settings.secondary is not None:
        return _even(len(settings.secondary), len(settings.secondary), model, problems)
    if settings.length is None:
        return LengthWeights(tuple(_trained_counts(model, labels).double().tolist()))
    match = re.fullmatch(r"\s*(\d+)\s*(?:-\s*(\d+)\s*)?", settings.length)
    if match is None:
        problems.append(Problem("--length", f"expected 20 or 12-30: got {settings.length!r}"))
        return anything
    low, high = int(match[1]), int(match[2] or match[1])
    if low > high:
        problems.append(Problem("--length", f"the shorter length comes first: write {high}-{low}"))
        return anything
    return _even(low, high, model, problems)


def _even(low: int, high: int, model: ModelFacts, problems: list[Problem]) -> LengthWeights:
    """Every length from `low` to `high` as often."""
    known = _known_lengths(model)
    if low < known[0] or high > known[1]:
        message = (
            f"these weights know peptides of {known[0]} to {known[1]} residues: got "
            f"{low if low == high else f'{low}-{high}'}"
        )
        problems.append(Problem("--length", message))
    return LengthWeights(tuple(float(low <= n <= high) for n in range(high + 1)))


def _known_lengths(model: ModelFacts) -> tuple[int, int]:
    found = model.length_counts[-1].nonzero().flatten()
    return (int(found[0]), model.max_length) if len(found) else (1, model.max_length)


def _trained_counts(model: ModelFacts, labels: tuple[int, ...]) -> Tensor:
    """Lengths of the training peptides with the rarest of the activities asked for.

    Activities imply one another (an antifungal peptide is antimicrobial), and then the rarest says
    most.
    """
    rows = [model.length_counts[index] for index, wanted in enumerate(labels) if wanted == 1]
    rows = [row for row in rows if int(row.sum()) > 0] or [model.length_counts[-1]]
    return min(rows, key=lambda row: int(row.sum()))


def _range_problems(partial: PartialDesign | None, model: ModelFacts) -> list[Problem]:
    low, high = _known_lengths(model)
    if partial is None:
        return []
    known = f"these weights know peptides of {low} to {high} residues"
    return [
        Problem(partial.option, f"{known}: {text} has {len(text)}")
        for text in partial.texts
        if not low <= len(text) <= high
    ]


def _read_secondary(text: str | None, problems: list[Problem]) -> tuple[int, ...] | None:
    if text is None:
        return None
    letters = [SECONDARY_CODES[0] if letter in _FREE_LETTERS else letter for letter in text.upper()]
    wrong = [i for i, letter in enumerate(letters) if letter not in SECONDARY_CODES]
    if wrong or not letters:
        found = f"letter {wrong[0] + 1} is {text[wrong[0]]!r}" if wrong else "it is empty"
        message = f"expected H, E, C, and X where any may stand: {found}"
        problems.append(Problem("--secondary", message))
        return None
    return tuple(SECONDARY_CODES.index(letter) for letter in letters)


def _secondary_problems(
    settings: PeptideSettings, partial: PartialDesign | None, lengths: LengthWeights
) -> list[Problem]:
    """A secondary structure belongs to one length."""
    if settings.secondary is None:
        return []
    given = len(settings.secondary)
    if isinstance(partial, Interpolation) and not partial.single_length:
        message = "needs one length, but the peptides of --between differ in theirs; leave it out"
        return [Problem("--secondary", message)]
    if partial is not None:
        needed = partial.length_of(0)
        where = partial.option
    else:
        possible = [n for n, weight in enumerate(lengths.weights) if weight > 0]
        needed = possible[0] if len(possible) == 1 else -1
        where = "--length"
    if needed == given:
        return []
    if needed < 0:
        message = f"has {given} residues; write --length {given} or leave --length out"
    else:
        message = f"has {given} residues, but {where} {needed}"
    return [Problem("--secondary", message)]


def wanted_text(plan: PeptidePlan, names: tuple[str, ...]) -> str:
    """The activities of a plan as text: `antimicrobial, not hemolytic`."""
    words = {1: "", 0: "not "}
    return ", ".join(
        f"{words[wanted]}{name}"
        for name, wanted in zip(names, plan.labels, strict=True)
        if wanted != UNKNOWN_LABEL
    )
