"""Weight files: safetensors beside a JSON card that says what they are and where they come from."""

import json
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

from jaxtyping import Shaped
from pydantic import Field
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from foldwright.runtime.config import Config, parse_config
from foldwright.runtime.errors import InputError, Problem
from foldwright.runtime.files import sha256_file, write_atomic

CardT = TypeVar("CardT", bound="WeightCard")


class WeightCard(Config):
    """What stands in the JSON beside every weight file; a model adds its settings.

    A model's card gives `format` and `version` their defaults, which are what it reads.
    """

    format: str = Field(description="kind of weights")
    version: int = Field(description="version of the layout")
    sha256: str = Field(default="", description="checksum of the weight file, written with it")
    provenance: dict[str, Any] = Field(
        description="training data, code, steps, hardware, licence, scores"
    )


def write_weights(path: Path, state: Mapping[str, Shaped[Tensor, "..."]], card: WeightCard) -> None:
    """Write `path` (.safetensors) and its card (.json), each atomically, the card last."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
    write_atomic(path, save(tensors, metadata={"format": card.format}))
    values = card.model_dump(mode="json") | {"sha256": sha256_file(path)}
    write_atomic(path.with_suffix(".json"), json.dumps(values, indent=1))


def read_weights(cls: type[CardT], path: Path) -> tuple[CardT, dict[str, Tensor]]:
    """Read a weight file and its card, and compare the checksum.

    Raises:
        InputError: a file is missing, damaged, of another kind or version, or not what its card
            says.
    """
    if not path.is_file():
        message = "no such weight file; `bundled` names the weights in the package"
        raise InputError(Problem(str(path), message))
    card = read_card(cls, path)
    checksum = sha256_file(path)
    if checksum != card.sha256:
        message = (
            f"is corrupted: checksum {checksum[:12]}…, its card says {card.sha256[:12]}…; "
            "copy or download it again"
        )
        raise InputError(Problem(str(path), message))
    try:
        return card, load(path.read_bytes())
    except SafetensorError as error:
        raise InputError(Problem(str(path), f"is no safetensors file: {error}")) from error


def read_card(cls: type[CardT], path: Path) -> CardT:
    """Read the card beside a weight file.

    Raises:
        InputError: there is none, or it is of another kind or version.
    """
    card = path.with_suffix(".json")
    try:
        values = json.loads(card.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(Problem(str(path), f"has no card {card.name} beside it")) from error
    except ValueError as error:
        raise InputError(Problem(str(card), f"is not JSON: {error}")) from error
    found = values if isinstance(values, dict) else {}
    kind, version = (cls.model_fields[name].default for name in ("format", "version"))
    if found.get("format") != kind:
        message = f"has the format {found.get('format')!r}, expected {kind!r}"
        raise InputError(Problem(str(card), message))
    if found.get("version") != version:
        message = f"has version {found.get('version')!r}, this Foldwright reads {version}"
        raise InputError(Problem(str(card), message))
    return parse_config(cls, values, str(card))


def bundled_path(package: str, name: str) -> Path:
    """Path of a weight file that comes with the package."""
    with resources.as_file(resources.files(package) / "bundled" / f"{name}.safetensors") as path:
        return path
