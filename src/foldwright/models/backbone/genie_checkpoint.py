"""Published Genie checkpoints: Lightning files, read without running what they pickle."""

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from foldwright.models.backbone.genie_configuration import read_genie_configuration
from foldwright.models.backbone.model import BackboneModel
from foldwright.runtime.errors import InputError, Problem
from foldwright.runtime.finite import first_non_finite
from foldwright.runtime.torch_files import read_torch_file

_PREFIX = "model."
_CONFIGURATION = "configuration"
_MOST_PROBLEMS = 10


def load_genie(path: Path | str, *, configuration: Path | str | None = None) -> BackboneModel:
    """Load a checkpoint of Genie (`scope_l_128`, `scope_l_256`, `swissprot_l_256` or your own).

    The file holds weights only, so its settings come from the text file `configuration`, looked
    for beside the checkpoint and two folders above it. Positions are encoded with the configured
    maximum, to which the original pads everything.

    Args:
        path: the Lightning `.ckpt` file.
        configuration: the settings, where they are not in one of the usual places.

    Returns:
        The model on the CPU, in evaluation mode.

    Raises:
        InputError: the file is no checkpoint, settings are missing, or tensors do not fit them.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(Problem(str(path), "no such checkpoint"))
    settings = read_genie_configuration(Path(configuration or _find_configuration(path)))
    state = _state_dict(path)
    model = BackboneModel(settings.genie, settings.diffusion)
    check_fit(
        path,
        state,
        model.network.state_dict(),
        advice="the configuration belongs to another checkpoint",
    )
    model.network.load_state_dict(state)
    return model.eval()


def _find_configuration(path: Path) -> Path:
    parents = path.resolve().parents
    places = [folder / _CONFIGURATION for folder in (parents[0], *parents[1:3])]
    for place in places:
        if place.is_file():
            return place
    looked = ", ".join(str(place) for place in places)
    raise InputError(
        Problem(str(path), f"needs the text file of its settings; looked for {looked}")
    )


def _state_dict(path: Path) -> dict[str, Tensor]:
    stored = read_torch_file(path)
    state = stored.get("state_dict") if isinstance(stored, Mapping) else None
    if not isinstance(state, Mapping) or not state:
        raise InputError(Problem(str(path), "holds no `state_dict`; expected a Genie checkpoint"))
    named = {str(name).removeprefix(_PREFIX): value for name, value in state.items()}
    wrong = [name for name, value in named.items() if not isinstance(value, Tensor)]
    if wrong:
        raise InputError(Problem(f"{path}: {wrong[0]}", "is not a tensor"))
    return named


def check_fit(
    path: Path, found: Mapping[str, Tensor], expected: Mapping[str, Tensor], *, advice: str
) -> None:
    """Raise an InputError unless tensors are finite and have the names and shapes expected."""
    bad = first_non_finite(found)
    if bad is not None:
        raise InputError(Problem(str(path), f"holds numbers that are not finite: {bad}"))
    problems = [Problem(f"{path}: {name}", "is missing") for name in expected if name not in found]
    for name, tensor in found.items():
        if name not in expected:
            problems.append(Problem(f"{path}: {name}", "is not part of the configured network"))
        elif tensor.shape != expected[name].shape:
            sizes = f"{tuple(tensor.shape)}, expected {tuple(expected[name].shape)}"
            problems.append(Problem(f"{path}: {name}", f"has shape {sizes}"))
    if problems:
        more = len(problems) - _MOST_PROBLEMS
        problems = problems[:_MOST_PROBLEMS]
        counted = f"{more} more tensors do not fit; " if more > 0 else ""
        raise InputError([*problems, Problem(str(path), counted + advice)])
