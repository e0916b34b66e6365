"""Configuration: one frozen record per thing configured, read from YAML and `a.b=value` words."""

import difflib
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from foldwright.runtime.errors import InputError, Problem
from foldwright.runtime.yaml_text import parse_yaml, to_yaml


class Config(BaseModel):
    """Base of every configuration record: frozen, and unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


ConfigType = TypeVar("ConfigType", bound=Config)


def load_config(
    cls: type[ConfigType], path: Path | None, overrides: Sequence[str] = ()
) -> ConfigType:
    """Read a configuration from a YAML file and words `a.b=value` that win over the file.

    Values of overrides are YAML scalars or flow sequences: `steps=2e3`, `name=null`,
    `lengths=[64, 128]`. Without a path the defaults of `cls` and the overrides are taken. A section
    that is given in part takes its other values from the defaults of that section's class.

    Raises:
        InputError: the file cannot be read or is not YAML; or, all together, every unknown key
            with the nearest valid one and every value that is not valid, by dotted key.
    """
    values = {} if path is None else _read_mapping(path)
    source = "defaults" if path is None else str(path)
    words = _apply_overrides(values, overrides)
    return _validate(cls, values, source, words)


def parse_config(cls: type[ConfigType], values: Mapping[str, Any], source: str) -> ConfigType:
    """Build a configuration from plain values found in `source`, a checkpoint for instance.

    Raises:
        InputError: every unknown key and every value that is not valid, by dotted key.
    """
    return _validate(cls, values, source, {})


def dump_config(config: Config) -> str:
    """Return a configuration as YAML that `load_config` reads back to an equal one."""
    return to_yaml(config.model_dump(mode="json"))


def _read_mapping(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(Problem(str(path), "is not text; expected a YAML file")) from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(Problem(str(path), f"cannot be read: {reason}")) from error
    values = parse_yaml(text, str(path))
    if values is None:
        return {}
    if not isinstance(values, dict):
        kind = type(values).__name__
        raise InputError(Problem(str(path), f"holds one {kind}; expected lines of `key: value`"))
    return values


def _apply_overrides(values: dict[str, Any], overrides: Sequence[str]) -> dict[str, str]:
    """Put the overrides into `values`; return dotted key -> the word it came from."""
    words: dict[str, str] = {}
    problems = []
    for word in overrides:
        key, equals, text = word.partition("=")
        if not equals or not all(key.split(".")):
            problems.append(Problem(repr(word), "expected key=value, as in training.steps=1000"))
            continue
        try:
            _set_dotted(values, key.split("."), parse_yaml(text, repr(word)))
            words[key] = word
        except InputError as error:
            problems.extend(error.problems)
    if problems:
        raise InputError(problems)
    return words


def _set_dotted(values: dict[str, Any], keys: list[str], value: Any) -> None:
    section = values
    for depth, key in enumerate(keys[:-1]):
        inner = section.get(key)
        if inner is None:
            inner = section[key] = {}
        if not isinstance(inner, dict):
            above = ".".join(keys[: depth + 1])
            raise InputError(
                Problem(".".join(keys), f"{above} is the value {inner!r}, not a section")
            )
        section = inner
    section[keys[-1]] = value


def _validate(
    cls: type[ConfigType], values: Mapping[str, Any], source: str, words: Mapping[str, str]
) -> ConfigType:
    try:
        return cls.model_validate(values)
    except ValidationError as error:
        problems = [_problem(cls, detail, source, words) for detail in error.errors()]
        raise InputError(problems) from error


def _problem(
    cls: type[Config], detail: Mapping[str, Any], source: str, words: Mapping[str, str]
) -> Problem:
    location = tuple(detail["loc"])
    key = ".".join(map(str, location))
    word = next((words[k] for k in words if f"{key}.".startswith(f"{k}.")), None)
    place = f"override {word!r}" if word else source
    kind = detail["type"]
    if kind == "extra_forbidden":
        return Problem(place, f"unknown key {key}{_suggestion(cls, location)}")
    if kind == "missing":
        return Problem(place, f"{key} is missing: {_field_help(cls, location)}")
    reason = value_complaint(detail)
    return Problem(place, f"{key}: {reason}" if key else reason)


def value_complaint(detail: Mapping[str, Any]) -> str:
    """Return in words what one detail of a pydantic error says about a value."""
    reason = str(detail["msg"])
    if detail["type"] == "value_error":
        return reason.removeprefix("Value error, ")
    # "a valid number" says it all; the second half of this message says the same again.
    expected = reason.removeprefix("Input should be ").partition(", unable to parse")[0]
    return f"found {detail['input']!r}, expected {expected}"


def _suggestion(cls: type[Config], location: tuple[int | str, ...]) -> str:
    section = _section_at(cls, location[:-1])
    if section is None:
        return ""
    valid = list(section.model_fields)
    near = difflib.get_close_matches(str(location[-1]), valid, n=1, cutoff=0.5)
    prefix = "".join(f"{part}." for part in location[:-1])
    elsewhere = _paths_of(cls, str(location[-1]))
    if elsewhere:
        return f"; did you mean {elsewhere[0]}?"
    if near:
        return f"; did you mean {prefix}{near[0]}?"
    return f"; valid keys: {', '.join(prefix + name for name in sorted(valid))}"


def _paths_of(cls: type[Config], name: str, prefix: str = "") -> list[str]:
    """Dotted paths under `cls` whose last part is `name`: a key put into the wrong section."""
    found = [f"{prefix}{name}"] if name in cls.model_fields else []
    for key, field in cls.model_fields.items():
        inner = _config_in(field.annotation)
        if inner is not None:
            found.extend(_paths_of(inner, name, f"{prefix}{key}."))
    return found


def _field_help(cls: type[Config], location: tuple[int | str, ...]) -> str:
    section = _section_at(cls, location[:-1])
    field = section.model_fields.get(str(location[-1])) if section else None
    return (field and field.description) or "it has no default"


def _section_at(cls: type[Config], location: tuple[int | str, ...]) -> type[Config] | None:
    section: type[Config] | None = cls
    for part in location:
        if section is None:
            return None
        if isinstance(part, str) and part in section.model_fields:
            section = _config_in(section.model_fields[part].annotation)
        # other parts are positions in lists, keys of mappings or names of union members
    return section


def _config_in(annotation: Any) -> type[Config] | None:
    """The configuration class inside an annotation such as `Model | None` or `list[Model]`."""
    if isinstance(annotation, type) and not isinstance(annotation, types.GenericAlias):
        return annotation if issubclass(annotation, Config) else None
    found = (_config_in(argument) for argument in typing.get_args(annotation))
    return next((inner for inner in found if inner is not None), None)
