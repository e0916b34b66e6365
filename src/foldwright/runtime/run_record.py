"""What decides the results of a run, kept in its folder so that it can be gone on with."""

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Shaped
from torch import Tensor

from foldwright.runtime.errors import InputError, Problem
from foldwright.runtime.files import write_atomic


def begin_run(path: Path, kind: str, settings: Mapping[str, Any]) -> None:
    """Write the settings of a new run to `path`, or check that the run there has equal ones.

    Raises:
        InputError: `path` is damaged, of another kind, or holds other settings; each is named.
    """
    found = read_record(path)
    if found is None:
        write_atomic(path, json.dumps({"format": kind, "settings": settings}, indent=2) + "\n")
        return
    if found.get("format") != kind:
        message = f"is of format {found.get('format')!r}, expected {kind!r}; use another --out"
        raise InputError(Problem(str(path), message))
    _require_equal(path, found["settings"], settings)


def read_record(path: Path) -> dict[str, Any] | None:
    """Read a JSON object; None where there is no file.

    Raises:
        InputError: the file holds anything else.
    """
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        message = f"is damaged ({error}); delete it to make it again"
        raise InputError(Problem(str(path), message)) from error
    if not isinstance(content, dict):
        raise InputError(Problem(str(path), "is damaged; delete it to make it again"))
    return content


def weights_digest(state: Mapping[str, Shaped[Tensor, "..."]]) -> str:
    """SHA-256 over names, shapes, types and values of a model's weights."""
    digest = hashlib.sha256()
    for name, tensor in sorted(state.items()):
        digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
        digest.update(tensor.detach().cpu().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def finite_scores(scores: Mapping[str, Any]) -> dict[str, Any]:
    """Scores as JSON can hold them: what is not a number is missing."""
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in scores.items()
    }


def _require_equal(path: Path, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    # Through JSON, so that tuples and lists compare as what the file can hold.
    new = json.loads(json.dumps(new))
    changed = [key for key in {**old, **new} if old.get(key) != new.get(key)]
    if changed:
        raise InputError(
            [
                Problem(
                    str(path),
                    f"this run was started with {key} {old.get(key)!r}, now it is "
                    f"{new.get(key)!r}; repeat the old value or use another --out",
                )
                for key in changed
            ]
        )
