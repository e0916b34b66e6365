"""Whether a run may go on from a checkpoint: the settings that decide the numbers must agree."""

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

from foldwright.runtime.errors import InputError, Problem
from foldwright.training.config import FitConfig

_MAY_CHANGE = (
    "max_steps",
    "max_minutes",
    "device",
    "compile",
    "checkpoint",
    "validate_every",
    "log_every",
    "tensorboard",
    "num_workers",
    "allow_changes",
)
"""Settings that do not enter the numbers beyond rounding, the device's for instance."""


def deciding_settings(
    config: FitConfig, task_settings: Mapping[str, Any], num_ranks: int
) -> dict[str, Any]:
    """Return every setting that decides the numbers of a run, by dotted name.

    `schedule.decay_end` is the step it stands for, so that a longer run does not bend the curve of
    the learning rate unnoticed.
    """
    settings = config.model_dump(mode="json")
    kept: dict[str, Any] = {k: v for k, v in settings.items() if k not in _MAY_CHANGE}
    is_flat = config.schedule.kind == "constant"
    kept["schedule"]["decay_end"] = None if is_flat else config.decay_end
    kept["num_processes"] = num_ranks
    return {**_flatten(kept), **_flatten({"task": dict(task_settings)})}


def require_same_settings(
    saved: Mapping[str, Any], current: Mapping[str, Any], allowed: tuple[str, ...]
) -> list[str]:
    """Refuse to go on with other settings; return the allowed differences, in words.

    Raises:
        InputError: every setting that differs and is not in `allowed`, and every name in `allowed`
            that no setting has.
    """
    names = sorted(set(saved) | set(current))
    differing = [name for name in names if saved.get(name) != current.get(name)]
    refused = [name for name in differing if name not in allowed]
    problems = [_problem(name, saved, current) for name in refused]
    problems += [_unknown(name, names) for name in allowed if name not in names]
    if problems:
        raise InputError(problems)
    return [_difference(name, saved, current) for name in differing]


def _problem(name: str, saved: Mapping[str, Any], current: Mapping[str, Any]) -> Problem:
    advice = (
        "put it back, train in another folder, or accept that the run is no longer repeatable "
        f"from its first command with allow_changes: [{name}]"
    )
    if name == "schedule.decay_end":
        advice = f"it follows max_steps unless it is set; {advice}"
    return Problem(name, f"{_difference(name, saved, current)}; {advice}")


def _unknown(name: str, names: Sequence[str]) -> Problem:
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]}?" if near else ""
    return Problem("allow_changes", f"{name} is no setting that decides the numbers{hint}")


def _difference(name: str, saved: Mapping[str, Any], current: Mapping[str, Any]) -> str:
    before, now = (repr(values.get(name, "absent")) for values in (saved, current))
    return f"the checkpoint was trained with {name} = {before}, now it is {now}"


def _flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat.update(_flatten(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = list(value) if isinstance(value, tuple) else value
    return flat
