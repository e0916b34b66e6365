"""What a run of new peptides is asked for, checked before any work starts."""

from dataclasses import dataclass
from typing import Literal

from pydantic import ConfigDict, Field

from foldwright.diffusion.guidance import Guidance, GuidanceSchedule
from foldwright.diffusion.time_grid import Spacing
from foldwright.models.peptide.features import StructureFeatures
from foldwright.models.peptide.inputs import SECONDARY_CODES, UNKNOWN_LABEL
from foldwright.models.peptide.label_names import find_labels
from foldwright.models.peptide.model_facts import ModelFacts
from foldwright.models.peptide.partial_design import (
    Interpolation,
    PartialDesign,
    read_partial,
)
from foldwright.models.peptide.peptide_lengths import LengthWeights, range_problems, read_lengths
from foldwright.models.peptide.structure_request import read_structure_request
from foldwright.runtime.config import Config
from foldwright.runtime.errors import InputError, Problem

PeptideSampler = Literal["ddpm", "ddim", "dpm", "sde"]

GuideFrom = Literal["opposite", "null"]

_PLAIN_STEPS = 20
_GUIDED_STEPS = 12
"""A step with guidance is two passes of the network, and quality hardly depends on the steps."""

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
    structure: str | None = Field(
        None,
        description="file of a predicted structure to fit, pLDDT as B-factors; sets the length too",
    )
    num: int = Field(10, description="number of peptides")
    seed: int = Field(0, description="seed of the run; peptide i has its own made of it and i")
    guidance: float = Field(
        1.0, description="push towards the activities: 1 as learned, 2 strong, 0 ignores them"
    )
    guide_from: GuideFrom = Field(
        "opposite", description="what guidance points away from: opposite activities, or null"
    )
    guidance_range: tuple[float, float] = Field(
        (0.0008, 0.03), description="shares of signal (0 to 1) between which there is guidance"
    )
    guidance_schedule: GuidanceSchedule = Field(
        "constant", description="push over time: constant, or rising (linear, cosine)"
    )
    sampler: PeptideSampler = Field("sde", description="ddpm, ddim, dpm (DPM-Solver++) or sde")
    steps: int | None = Field(
        None, description="sampling steps, default 20, or 12 with guidance above 1"
    )
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
    unique: bool = Field(
        True, description="draw again what the run holds already or began with, and known peptides"
    )
    allow_known: bool = Field(
        False, description="let pass peptides that the weights were trained on"
    )
    max_run: int | None = Field(
        None, description="draw again peptides with longer runs of one residue"
    )
    min_entropy: float | None = Field(
        None, description="draw again peptides whose residues have a lower entropy, in bits"
    )
    attempts: int = Field(20, description="draws per peptide before it counts as failed")


@dataclass(frozen=True)
class SamplerChoice:
    """A sampler with every number it needs; `options` are its keyword arguments."""

    sampler: PeptideSampler
    num_steps: int
    spacing: Spacing
    options: dict[str, int | float]
    temperature: float


@dataclass(frozen=True)
class DrawRules:
    """What makes a peptide be drawn again, and how often."""

    unique: bool
    max_run: int | None
    min_entropy: float | None
    attempts: int


@dataclass(frozen=True)
class PeptidePlan:
    """A checked run; `labels` is 1, 0 or -1 for each label of the model.

    `away_labels` is what guidance points away from, without any structure.
    """

    labels: tuple[int, ...]
    away_labels: tuple[int, ...]
    lengths: LengthWeights
    secondary: tuple[int, ...] | None
    structure: StructureFeatures | None
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
    structure = read_structure_request(settings.structure, problems)
    by_residue = {
        "--secondary": None if settings.secondary is None else len(settings.secondary),
        "--structure": None if structure is None else structure.mask.shape[1],
    }
    asked = next((given for given in by_residue.values() if given is not None), None)
    lengths = read_lengths(settings.length, asked, model, labels, partial, problems)
    problems += range_problems(partial, model)
    for option, given in by_residue.items():
        problems += _residue_problems(option, given, partial, lengths)
    problems += _unlearned_problems(labels, model) + _structure_problems(settings, model)
    if problems:
        raise InputError(problems)
    options = _DEFAULT_OPTIONS[settings.sampler] | _given_options(settings)
    return PeptidePlan(
        labels=labels,
        away_labels=_away_labels(settings, labels, model),
        lengths=lengths,
        secondary=secondary,
        structure=structure,
        guidance=_guidance(settings),
        sampler=SamplerChoice(
            settings.sampler, _steps(settings), settings.spacing, options, settings.temperature
        ),
        rules=DrawRules(settings.unique, settings.max_run, settings.min_entropy, settings.attempts),
        partial=partial,
    )


def _guidance(settings: PeptideSettings) -> Guidance:
    """Guidance above 1 has its range; below 1 it is a mixture with what was not asked, always."""
    everywhere = (0.0, 1.0)
    signal_range = settings.guidance_range if settings.guidance > 1 else everywhere
    return Guidance(settings.guidance, settings.guidance_schedule, signal_range)


def _away_labels(
    settings: PeptideSettings, labels: tuple[int, ...], model: ModelFacts
) -> tuple[int, ...]:
    """The opposites of the labels asked for, where the model has learned them; else nothing asked.

    Guidance below 1 goes towards it, so that 0 ignores the labels: then nothing is asked.
    """
    if settings.guide_from == "null" or settings.guidance < 1:
        return (UNKNOWN_LABEL,) * len(labels)
    return tuple(
        1 - wanted
        if wanted != UNKNOWN_LABEL and model.has_learned(place, 1 - wanted)
        else UNKNOWN_LABEL
        for place, wanted in enumerate(labels)
    )


def _steps(settings: PeptideSettings) -> int:
    """Sampling steps of a run."""
    if settings.steps is not None:
        return settings.steps
    return _GUIDED_STEPS if settings.guidance > 1 else _PLAIN_STEPS


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
    steps = _steps(settings)
    if not 1 <= steps <= num_timesteps:
        message = (
            f"must be between 1 and {num_timesteps}, the timesteps this model was trained with: "
            f"got {steps}"
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


def _unlearned_problems(labels: tuple[int, ...], model: ModelFacts) -> list[Problem]:
    """Labels to be without of which no training peptide was known to be without."""
    return [
        Problem("--not", f"no training peptide is known not to have {name}; leave it out")
        for place, (name, wanted) in enumerate(zip(model.labels, labels, strict=True))
        if wanted == 0 and not model.has_learned(place, 0)
    ]


def _structure_problems(settings: PeptideSettings, model: ModelFacts) -> list[Problem]:
    if settings.structure is None or model.takes_structures:
        return []
    message = "these weights were trained without structures; leave it out, or write --secondary"
    return [Problem("--structure", message)]


def _guidance_problems(settings: PeptideSettings) -> list[Problem]:
    problems = []
    asked = settings.activity or settings.excluded or settings.secondary or settings.structure
    if settings.guidance != 1 and not asked:
        message = "has nothing to push towards; write --activity, --not, --secondary or --structure"
        problems.append(Problem("--guidance", f"{message}, or leave it out"))
    low, high = settings.guidance_range
    if not 0 <= low < high <= 1:
        message = f"must rise within 0 to 1: got {low:g} {high:g}; write 0 1 for always"
        problems.append(Problem("--guidance-range", message))
    if settings.guidance_schedule != "constant" and settings.guidance <= 1:
        message = (
            f"{settings.guidance_schedule} rises from 1 to --guidance: got --guidance "
            f"{settings.guidance:g}; write one above 1, or constant"
        )
        problems.append(Problem("--guidance-schedule", message))
    return problems


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


def _residue_problems(
    option: str, given: int | None, partial: PartialDesign | None, lengths: LengthWeights
) -> list[Problem]:
    """What is asked of every residue belongs to one length."""
    if given is None:
        return []
    if isinstance(partial, Interpolation) and not partial.single_length:
        message = "needs one length, but the peptides of --between differ in theirs; leave it out"
        return [Problem(option, message)]
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
    return [Problem(option, message)]


def wanted_text(plan: PeptidePlan, names: tuple[str, ...]) -> str:
    """The activities of a plan as text: `antimicrobial, not hemolytic`."""
    words = {1: "", 0: "not "}
    return ", ".join(
        f"{words[wanted]}{name}"
        for name, wanted in zip(names, plan.labels, strict=True)
        if wanted != UNKNOWN_LABEL
    )
