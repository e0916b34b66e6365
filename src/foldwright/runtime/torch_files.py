"""Files of `torch.save` by other programs, read without running what they pickle."""

import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from foldwright.runtime.errors import InputError, Problem

_ALLOWED = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): torch._utils._rebuild_tensor_v2,
    ("torch._utils", "_rebuild_parameter"): torch._utils._rebuild_parameter,
}
# What a damaged archive or pickle may raise, as the documentation of pickle warns.
_UNREADABLE = (
    pickle.UnpicklingError,
    zipfile.BadZipFile,
    OSError,
    RuntimeError,
    EOFError,
    AttributeError,
    ImportError,
    LookupError,
    TypeError,
    ValueError,
)


def read_torch_file(path: Path) -> Any:
    """Read tensors and plain containers onto the CPU; other pickled objects become inert.

    Training programs pickle classes of their own in keys that are not needed. Those classes are
    never looked up: a placeholder stands where their objects were. Tensors are mapped into memory,
    except in files from before torch saved zip archives.

    Raises:
        InputError: the file is damaged, or not one of `torch.save`.
    """
    mapped = zipfile.is_zipfile(path)
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except pickle.UnpicklingError:
        pass
    except _UNREADABLE as error:
        raise _unreadable(path, str(error)) from error
    if not mapped:
        raise _unreadable(path, "not the zip archive of torch.save")
    restricted = SimpleNamespace(__name__="restricted", Unpickler=_RestrictedUnpickler)
    try:
        return torch.load(
            path, map_location="cpu", pickle_module=restricted, weights_only=False, mmap=True
        )
    except _UNREADABLE as error:
        raise _unreadable(path, str(error)) from error


def _unreadable(path: Path, reason: str) -> InputError:
    return InputError(
        Problem(str(path), f"cannot be read as a checkpoint: {reason}; fetch or copy it again")
    )


class _Inert:
    """Stands for an object of a class that is not looked up; swallows its state."""

    def __new__(cls, *_args: Any, **_kwargs: Any) -> "_Inert":
        return super().__new__(cls)

    def __init__(self, *_args: Any, **_kwargs: Any) -> None:
        pass

    def __call__(self, *_args: Any, **_kwargs: Any) -> "_Inert":
        return self

    def __setstate__(self, _state: Any) -> None:
        pass

    def __setitem__(self, _key: Any, _value: Any) -> None:
        pass

    def append(self, _value: Any) -> None:
        """Swallow an element of a pickled list subclass."""

    def extend(self, _values: Any) -> None:
        """Swallow the elements of a pickled list subclass."""


class _RestrictedUnpickler(pickle.Unpickler):
    def find_class(self, module_name: str, global_name: str) -> Any:
        return _ALLOWED.get((module_name, global_name), _Inert)
