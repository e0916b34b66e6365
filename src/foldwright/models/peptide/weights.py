"""Weight files of peptide models and encoders: safetensors beside a JSON card."""

import json
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Shaped
from pydantic import Field
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from foldwright.models.peptide.config import EncoderConfig, PeptideConfig
from foldwright.models.peptide.encoder import BundledEncoder
from foldwright.models.peptide.model import PeptideModel
from foldwright.runtime.config import Config, parse_config
from foldwright.runtime.errors import InputError, Problem
from foldwright.runtime.files import sha256_file, write_atomic

_FORMAT = "foldwright-peptide"
_VERSION = 1
BUNDLED = "peptide-small"
"""Name of the weights in the package."""


class PeptideCard(Config):
    """What stands in the JSON beside a weight file."""

    format: str = Field(default=_FORMAT, description="kind of weights")
    version: int = Field(default=_VERSION, description="version of this layout")
    part: Literal["model", "encoder"] = Field(description="the whole model or its encoder alone")
    model: PeptideConfig = Field(description="settings of the whole model")
    labels: tuple[str, ...] = Field(description="activities it can be asked for, in order")
    sha256: str = Field(description="checksum of the weight file")
    provenance: dict[str, Any] = Field(
        description="training data, code, steps, hardware, licence, scores"
    )


def save_peptide_weights(model: PeptideModel, path: Path, *, provenance: dict[str, Any]) -> None:
    """Write a model (.safetensors) and its card (.json), each atomically, the card last."""
    _write(path, model.state_dict(), "model", model.config, model.labels, provenance)


def load_peptide_weights(path: Path | str) -> PeptideModel:
    """Load a model in evaluation mode on the CPU; `bundled` names the one in the package.

    Raises:
        InputError: the file is missing, damaged, of another kind or version.
    """
    path = bundled_path() if str(path) == "bundled" else Path(path)
    card, state = read_weights(path)
    if card.part != "model":
        message = f"holds the {card.part} alone; expected a whole model, from stage 1, 2 or 3"
        raise InputError(Problem(str(path), message))
    model = PeptideModel(card.model, card.labels)
    load_state(model, state, path)
    return model.eval()


def save_encoder_weights(
    encoder: BundledEncoder,
    path: Path,
    *,
    config: EncoderConfig,
    max_length: int,
    provenance: dict[str, Any],
) -> None:
    """Write an encoder (.safetensors) and its card (.json), each atomically, the card last."""
    settings = PeptideConfig(encoder=config, max_length=max_length)
    _write(path, encoder.state_dict(), "encoder", settings, (), provenance)


def load_encoder_weights(path: Path) -> tuple[BundledEncoder, PeptideConfig]:
    """Load a bundled encoder, alone or out of a whole model, and the settings it was saved with.

    Raises:
        InputError: the file is missing, damaged, of another kind, or its encoder is ESM-2.
    """
    card, state = read_weights(path)
    if card.model.encoder.kind != "bundled":
        message = f"has an encoder of kind {card.model.encoder.kind}; expected bundled"
        raise InputError(Problem(str(path), message))
    if card.part == "model":
        state = {
            name.removeprefix("encoder."): tensor
            for name, tensor in state.items()
            if name.startswith("encoder.")
        }
    encoder = BundledEncoder(card.model.encoder, card.model.max_length)
    load_state(encoder, state, path)
    return encoder.eval(), card.model


def read_weights(path: Path) -> tuple[PeptideCard, dict[str, Tensor]]:
    """Read a weight file and its card, and compare the checksum.

    Raises:
        InputError: a file is missing, damaged, or of another kind or version.
    """
    if not path.is_file():
        message = "no such weight file; `bundled` names the weights in the package"
        raise InputError(Problem(str(path), message))
    card = _read_card(path)
    checksum = sha256_file(path)
    if checksum != card.sha256:
        message = (
            f"is corrupted: checksum {checksum[:12]}…, its card says {card.sha256[:12]}…; "
            "copy it again"
        )
        raise InputError(Problem(str(path), message))
    try:
        state = load(path.read_bytes())
    except SafetensorError as error:
        raise InputError(Problem(str(path), f"is no safetensors file: {error}")) from error
    return card, {
        name: tensor.float() if tensor.dtype == torch.float16 else tensor
        for name, tensor in state.items()
    }


def load_state(module: nn.Module, state: Mapping[str, Shaped[Tensor, "..."]], path: Path) -> None:
    """Put weights into a module.

    Raises:
        InputError: the weights are those of another network.
    """
    try:
        module.load_state_dict(dict(state))
    except RuntimeError as error:
        message = f"does not fit what its card describes: {error}"
        raise InputError(Problem(str(path), message)) from error


def bundled_path() -> Path:
    """Path of the weights in the package."""
    folder = resources.files("foldwright.models.peptide") / "bundled"
    with resources.as_file(folder / f"{BUNDLED}.safetensors") as path:
        return path


def _write(
    path: Path,
    state: Mapping[str, Tensor],
    part: Literal["model", "encoder"],
    settings: PeptideConfig,
    labels: tuple[str, ...],
    provenance: dict[str, Any],
) -> None:
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
    write_atomic(path, save(tensors, metadata={"format": _FORMAT}))
    card = PeptideCard(
        part=part,
        model=settings,
        labels=labels,
        sha256=sha256_file(path),
        provenance=provenance,
    )
    write_atomic(path.with_suffix(".json"), json.dumps(card.model_dump(mode="json"), indent=1))


def _read_card(path: Path) -> PeptideCard:
    card = path.with_suffix(".json")
    try:
        values = json.loads(card.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(Problem(str(path), f"has no card {card.name} beside it")) from error
    except ValueError as error:
        raise InputError(Problem(str(card), f"is not JSON: {error}")) from error
    kind = values.get("format") if isinstance(values, dict) else None
    if kind != _FORMAT:
        raise InputError(Problem(str(card), f"has the format {kind!r}, expected {_FORMAT!r}"))
    if values.get("version") != _VERSION:
        message = f"has version {values.get('version')!r}, this Foldwright reads {_VERSION}"
        raise InputError(Problem(str(card), message))
    return parse_config(PeptideCard, values, str(card))
