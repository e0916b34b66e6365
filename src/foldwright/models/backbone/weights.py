"""Weight files: safetensors beside a JSON that says what they are and where they come from."""

import json
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import Field
from safetensors import SafetensorError
from safetensors.torch import load, save

from foldwright.models.backbone.config import DiffusionConfig, GenieConfig
from foldwright.models.backbone.genie_checkpoint import check_fit, load_genie
from foldwright.models.backbone.model import BackboneModel
from foldwright.runtime.config import Config, parse_config
from foldwright.runtime.errors import InputError, Problem
from foldwright.runtime.files import sha256_file, write_atomic

_FORMAT = "foldwright-backbone"
_VERSION = 1
BUNDLED = "backbone-small"
"""Name of the weights in the package."""


class WeightCard(Config):
    """What stands in the JSON beside a weight file."""

    format: str = Field(default=_FORMAT, description="kind of weights")
    version: int = Field(default=_VERSION, description="version of this layout")
    genie: GenieConfig = Field(description="network")
    diffusion: DiffusionConfig = Field(description="noise process")
    sha256: str = Field(description="checksum of the weight file")
    provenance: dict[str, Any] = Field(
        description="training data, code, steps, hardware, licence, scores"
    )


def save_weights(model: BackboneModel, path: Path, *, provenance: dict[str, Any]) -> None:
    """Write `path` (.safetensors) and its card (.json), each atomically, the card last."""
    state = {
        name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()
    }
    write_atomic(path, save(state, metadata={"format": _FORMAT}))
    card = WeightCard(
        genie=model.genie,
        diffusion=model.diffusion,
        sha256=sha256_file(path),
        provenance=provenance,
    )
    write_atomic(path.with_suffix(".json"), json.dumps(card.model_dump(mode="json"), indent=1))


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
    if not path.is_file():
        raise InputError(
            Problem(str(path), "no such weight file; `bundled` names the weights in the package")
        )
    if path.suffix == ".ckpt":
        return load_genie(path)
    if path.suffix != ".safetensors":
        raise InputError(
            Problem(str(path), f"ends in {path.suffix!r}; expected .safetensors or .ckpt")
        )
    return _load(path, read_card(path))


def load_bundled() -> BackboneModel:
    """Load the model that comes with the package."""
    folder = resources.files("foldwright.models.backbone") / "bundled"
    with resources.as_file(folder / f"{BUNDLED}.safetensors") as path:
        return load_weights(path)


def read_card(path: Path) -> WeightCard:
    """Read the card beside a weight file."""
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
        found = values.get("version")
        raise InputError(
            Problem(str(card), f"has version {found!r}, this Foldwright reads {_VERSION}")
        )
    return parse_config(WeightCard, values, str(card))


def _load(path: Path, card: WeightCard) -> BackboneModel:
    checksum = sha256_file(path)
    if checksum != card.sha256:
        raise InputError(
            Problem(
                str(path),
                f"is corrupted: checksum {checksum[:12]}…, its card says {card.sha256[:12]}…; "
                "copy or download it again",
            )
        )
    try:
        state = load(path.read_bytes())
    except SafetensorError as error:
        raise InputError(Problem(str(path), f"is no safetensors file: {error}")) from error
    model = BackboneModel(card.genie, card.diffusion)
    check_fit(
        path, state, model.state_dict(), advice=f"{path.with_suffix('.json').name} is another's"
    )
    model.load_state_dict(state)
    return model.eval()
