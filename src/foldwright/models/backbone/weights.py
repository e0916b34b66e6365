"""Weight files of backbone models, and the door to those of Genie."""

from pathlib import Path
from typing import Any

from pydantic import Field

from foldwright.models.backbone.config import DiffusionConfig, GenieConfig
from foldwright.models.backbone.genie_checkpoint import check_fit, load_genie
from foldwright.models.backbone.model import BackboneModel
from foldwright.runtime.errors import InputError, Problem
from foldwright.runtime.weight_files import WeightCard, bundled_path, read_weights, write_weights

BUNDLED = "backbone-small"
"""Name of the weights in the package."""


class BackboneCard(WeightCard):
    """What stands in the JSON beside a weight file."""

    format: str = Field(default="foldwright-backbone", description="kind of weights")
    version: int = Field(default=1, description="version of this layout")
    genie: GenieConfig = Field(description="network")
    diffusion: DiffusionConfig = Field(description="noise process")


def save_weights(model: BackboneModel, path: Path, *, provenance: dict[str, Any]) -> None:
    """Write `path` (.safetensors) and its card (.json), each atomically, the card last."""
    card = BackboneCard(genie=model.genie, diffusion=model.diffusion, provenance=provenance)
    write_weights(path, model.state_dict(), card)


def load_weights(path: Path | str) -> BackboneModel:
    """Load a model in evaluation mode on the CPU.

    `path` is a `.safetensors` file with its card, a Genie checkpoint (`.ckpt`) with its
    configuration, or the word `bundled`.

    Raises:
        InputError: the file is missing, of another kind or version, or not what its card says.
    """
    if str(path) == "bundled":
        return load_bundled()
    path = Path(path)
    if path.is_file() and path.suffix == ".ckpt":
        return load_genie(path)
    if path.is_file() and path.suffix != ".safetensors":
        raise InputError(
            Problem(str(path), f"ends in {path.suffix!r}; expected .safetensors or .ckpt")
        )
    card, state = read_weights(BackboneCard, path)
    model = BackboneModel(card.genie, card.diffusion)
    check_fit(
        path, state, model.state_dict(), advice=f"{path.with_suffix('.json').name} is another's"
    )
    model.load_state_dict(state)
    return model.eval()


def load_bundled() -> BackboneModel:
    """Load the model that comes with the package."""
    return load_weights(bundled_path("foldwright.models.backbone", BUNDLED))
