"""The flat `configuration` text files of Genie and its long-sequence descendant."""

import difflib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from foldwright.models.backbone.config import DiffusionConfig, GenieConfig
from foldwright.models.backbone.long_configuration import KEYS, NUMBERS, translate_long_keys
from foldwright.runtime.config import Config, parse_config
from foldwright.runtime.errors import InputError, Problem

_GENIE_FIELDS: dict[str, tuple[str, type]] = {
    "singleFeatureDimension": ("c_s", int),
    "pairFeatureDimension": ("c_p", int),
    "positionalEmbeddingDimension": ("c_position", int),
    "timestepEmbeddingDimension": ("c_timestep", int),
    "relativePositionK": ("relative_position_clip", int),
    "numPairTransformLayers": ("num_pair_layers", int),
    "includeTriangularMultiplicativeUpdate": ("triangle_multiplication", bool),
    "includeTriangularAttention": ("triangle_attention", bool),
    "triangularMultiplicativeHiddenDimension": ("c_triangle_multiplication", int),
    "triangularAttentionHiddenDimension": ("c_triangle_attention", int),
    "triangularAttentionNumHeads": ("num_triangle_heads", int),
    "triangularDropout": ("pair_dropout", float),
    "pairTransitionN": ("pair_expansion", int),
    "numStructureLayers": ("num_structure_layers", int),
    "numStructureBlocks": ("num_structure_blocks", int),
    "ipaHiddenDimension": ("c_ipa", int),
    "ipaNumHeads": ("num_ipa_heads", int),
    "ipaNumQkPoints": ("num_qk_points", int),
    "ipaNumVPoints": ("num_v_points", int),
    "ipaDropout": ("ipa_dropout", float),
    "numStructureTransitionLayers": ("num_transition_layers", int),
    "structureTransitionDropout": ("transition_dropout", float),
    "maximumNumResidues": ("max_length", int),
    **NUMBERS,
}
_DIFFUSION_FIELDS: dict[str, tuple[str, type]] = {
    "numTimesteps": ("num_steps", int),
    "schedule": ("schedule", str),
}
_ONLY_DISTANCE = "templateType"
_RUN_KEYS = (
    "name",
    "minimumNumResidues",
    "logDirectory",
    "dataDirectory",
    "datasetNames",
    "datasetSize",
    "datasetClasses",
    "seed",
    "numEpoches",
    "batchSize",
    "logEverySteps",
    "checkpointEveryEpoches",
    "learningRate",
)
# What Genie assumes where the file is silent; its own maximum is none.
_DEFAULT_MAX_LENGTH = 128

_Settings = TypeVar("_Settings", bound=Config)


@dataclass(frozen=True)
class GenieConfiguration:
    """What a configuration file says about the model, and what of it has no effect here."""

    genie: GenieConfig
    diffusion: DiffusionConfig
    run: dict[str, str]
    without_effect: tuple[str, ...]


def read_genie_configuration(path: Path) -> GenieConfiguration:
    """Read `key value` lines; of a repeated key the last counts, as in Genie.

    Keys about data and training come back as text in `run`. Lines that Genie skips in silence
    (anything but two words) and keys it does not know are named in `without_effect`.

    Raises:
        InputError: the file cannot be read, or values are not of their key's type, all together.
    """
    pairs, without_effect = _split_lines(path)
    problems: list[Problem] = []
    genie = _convert(pairs, _GENIE_FIELDS, path, problems)
    without_effect += translate_long_keys(pairs, genie, str(path), problems)
    diffusion = _convert(pairs, _DIFFUSION_FIELDS, path, problems)
    if pairs.get(_ONLY_DISTANCE, "v1") != "v1":
        problems.append(Problem(f"{path}: {_ONLY_DISTANCE}", "only template v1 exists"))
    if diffusion.get("schedule", "cosine") not in ("cosine", "linear"):
        problems.append(Problem(f"{path}: schedule", "expected cosine or linear"))
    if problems:
        raise InputError(problems)
    genie.setdefault("max_length", _DEFAULT_MAX_LENGTH)
    networks = _build(GenieConfig, genie, _GENIE_FIELDS, path, problems)
    processes = _build(DiffusionConfig, diffusion, _DIFFUSION_FIELDS, path, problems)
    if problems:
        raise InputError(problems)
    known = {*_GENIE_FIELDS, *_DIFFUSION_FIELDS, *KEYS, _ONLY_DISTANCE, *_RUN_KEYS}
    without_effect += [_unknown(key, known) for key in pairs if key not in known]
    run = {key: pairs[key] for key in _RUN_KEYS if key in pairs}
    return GenieConfiguration(networks[0], processes[0], run, tuple(without_effect))


def _split_lines(path: Path) -> tuple[dict[str, str], list[str]]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            Problem(str(path), "is no readable text file; expected lines of `key value`")
        ) from error
    pairs: dict[str, str] = {}
    skipped: list[str] = []
    for number, line in enumerate(lines, start=1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if len(words) == 2:
            pairs[words[0]] = words[1]
        else:
            skipped.append(f"line {number}: {len(words)} words instead of `key value`: {line!r}")
    if not pairs:
        raise InputError(Problem(str(path), "holds no line of the form `key value`"))
    return pairs, skipped


def _convert(
    pairs: dict[str, str],
    fields: dict[str, tuple[str, type]],
    path: Path,
    problems: list[Problem],
) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, (field, kind) in fields.items():
        text = pairs.get(key)
        if text is None or text == "None":
            continue
        try:
            values[field] = _boolean(text) if kind is bool else kind(text)
        except ValueError:
            problems.append(Problem(f"{path}: {key}", f"found {text!r}, expected {kind.__name__}"))
    return values


def _build(
    cls: type[_Settings],
    values: dict[str, Any],
    fields: dict[str, tuple[str, type]],
    path: Path,
    problems: list[Problem],
) -> list[_Settings]:
    """The settings, or none and problems by the names that the file uses."""
    try:
        return [parse_config(cls, values, str(path))]
    except InputError as error:
        names = {field: key for key, (field, _) in fields.items()}
        for problem in error.problems:
            field, _, reason = problem.message.partition(": ")
            known = field in names
            problems.append(Problem(f"{path}: {names[field]}", reason) if known else problem)
        return []


def _boolean(text: str) -> bool:
    if text not in ("True", "False"):
        raise ValueError(text)
    return text == "True"


def _unknown(key: str, known: set[str]) -> str:
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.75)
    return f"unknown key {key}" + (f"; did you mean {near[0]}?" if near else "")
