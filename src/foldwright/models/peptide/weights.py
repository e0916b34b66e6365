"""Weight files of peptide models and encoders: safetensors beside a JSON card."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from jaxtyping import Shaped
from pydantic import Field
from torch import Tensor, nn

from foldwright.models.peptide.config import EncoderConfig, PeptideConfig
from foldwright.models.peptide.encoder import BundledEncoder
from foldwright.models.peptide.model import PeptideModel
from foldwright.models.peptide.seen_peptides import split_state
from foldwright.runtime.errors import InputError, Problem
from foldwright.runtime.weight_files import WeightCard, bundled_path, read_weights, write_weights

BUNDLED = "peptide-small"
"""Name of the weights in the package."""


class PeptideCard(WeightCard):
    """What stands in the JSON beside a weight file."""

    format: str = Field(default="foldwright-peptide", description="kind of weights")
    version: int = Field(default=1, description="version of this layout")
    part: Literal["model", "encoder"] = Field(description="the whole model or its encoder alone")
    model: PeptideConfig = Field(description="settings of the whole model")
    labels: tuple[str, ...] = Field(description="activities it can be asked for, in order")


def save_peptide_weights(model: PeptideModel, path: Path, *, provenance: dict[str, Any]) -> None:
    """Write a model (.safetensors) and its card (.json), each atomically, the card last.

    What the model remembers of its training peptides (`seen`) goes into the same file.
    """
    card = PeptideCard(part="model", model=model.config, labels=model.labels, provenance=provenance)
    remembered = {} if model.seen is None else model.seen.tensors()
    write_weights(path, {**model.state_dict(), **remembered}, card)


def load_peptide_weights(path: Path | str) -> PeptideModel:
    """Load a model in evaluation mode on the CPU; `bundled` names the one in the package.

    Raises:
        InputError: the file is missing, damaged, of another kind or version.
    """
    path = _place(path)
    card, state = read_weights(PeptideCard, path)
    if card.part != "model":
        message = f"holds the {card.part} alone; expected a whole model, from stage 1, 2 or 3"
        raise InputError(Problem(str(path), message))
    model = PeptideModel(card.model, card.labels)
    weights, model.seen = split_state(state)
    load_state(model, weights, path)
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
    card = PeptideCard(part="encoder", model=settings, labels=(), provenance=provenance)
    write_weights(path, encoder.state_dict(), card)


def load_encoder_weights(path: Path | str) -> tuple[BundledEncoder, PeptideConfig]:
    """Load a bundled encoder, alone or out of a whole model, and the settings it was saved with.

    `bundled` names the model in the package.

    Raises:
        InputError: the file is missing, damaged, of another kind, or its encoder is ESM-2.
    """
    path = _place(path)
    card, state = read_weights(PeptideCard, path)
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


def _place(path: Path | str) -> Path:
    if str(path) == "bundled":
        return bundled_path("foldwright.models.peptide", BUNDLED)
    return Path(path)
