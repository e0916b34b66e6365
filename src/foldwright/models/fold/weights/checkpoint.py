"""Checkpoints of other PyTorch programs: read without running what they may contain."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from foldwright.runtime.errors import FoldwrightError, InputError, Problem
from foldwright.runtime.torch_files import read_torch_file

SUFFIXES = (".pt", ".pth", ".ckpt")
_PLACES = (("ema", "params"), ("ema",), ("state_dict",), ("module",), ("model",), ())
"""Where a checkpoint keeps its parameters; running averages come first."""
_WRAPPERS = ("module.", "model.")


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """Read the parameters of a pickled checkpoint, averaged ones where it has them.

    Names lose the beginnings `module.` and `model.` where all of them have it. The file is mapped
    into memory if it can be.

    Raises:
        InputError: the file is not there, is damaged, or holds no parameters.
    """
    if not path.is_file():
        raise InputError(Problem(str(path), "does not exist"))
    loaded = read_torch_file(path)
    for place in _PLACES:
        found = _at(loaded, place)
        if found:
            return unwrapped(found)
    raise InputError(Problem(str(path), "holds no parameters; expected a state dictionary"))


def read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Map the tensors of a safetensors file into memory; return its notes as well.

    Raises:
        InputError: the file is not there.
        FoldwrightError: it is damaged.
    """
    if not path.is_file():
        raise InputError(Problem(str(path), "does not exist"))
    try:
        with safe_open(path, framework="pt") as file:
            names = list(file.keys())
            return {name: file.get_tensor(name) for name in names}, file.metadata() or {}
    except SafetensorError as error:
        raise FoldwrightError(
            f"{path}: damaged weights ({error}); fetch or convert them again"
        ) from error


def _at(loaded: Any, place: tuple[str, ...]) -> dict[str, Tensor]:
    """Tensors at a place of nested containers; none if there is something else."""
    for key in place:
        if not isinstance(loaded, Mapping) or key not in loaded:
            return {}
        loaded = loaded[key]
    if not isinstance(loaded, Mapping):
        return {}
    tensors = {str(name): value for name, value in loaded.items() if isinstance(value, Tensor)}
    return tensors if len(tensors) == len(loaded) else {}


def unwrapped(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Take the beginnings `module.` and `model.` off the names where all of them have it."""
    for wrapper in _WRAPPERS:
        if all(name.startswith(wrapper) for name in tensors):
            tensors = {name.removeprefix(wrapper): value for name, value in tensors.items()}
    return tensors
