"""One checkpoint: a folder that is complete or absent, and verified when read."""

import json
import os
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from foldwright.runtime.errors import FoldwrightError, InputError, Problem
from foldwright.runtime.files import sha256_file, write_atomic

FORMAT = 1
_MANIFEST = "manifest.json"
_STATE = "state.json"


@dataclass(frozen=True)
class Checkpoint:
    """Everything a run needs to go on: tensors by part and name, and plain values."""

    tensors: Mapping[str, Mapping[str, Tensor]]
    state: Mapping[str, Any]


class DamagedCheckpointError(FoldwrightError):
    """A checkpoint that is not what was written."""


def write_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint as `folder`, which must not exist, all at once.

    `model.safetensors`, `ema.safetensors` and `optimiser.safetensors` hold the tensors by part,
    `state.json` the rest, `manifest.json` the size and SHA-256 of each.

    Raises:
        InputError: the folder cannot be written.
        FoldwrightError: the disk is full.
    """
    partial = folder.with_name(f".partial-{secrets.token_hex(6)}-{folder.name}")
    try:
        for part, tensors in checkpoint.tensors.items():
            whole = {
                name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()
            }
            write_atomic(partial / f"{part}.safetensors", safetensors.torch.save(whole))
        write_atomic(partial / _STATE, json.dumps(checkpoint.state, indent=1, allow_nan=False))
        files = {
            path.name: {"bytes": path.stat().st_size, "sha256": sha256_file(path)}
            for path in sorted(partial.iterdir())
        }
        manifest = {"format": FORMAT, "files": files}
        write_atomic(partial / _MANIFEST, json.dumps(manifest, indent=1))
        partial.rename(folder)
        _flush_folder(folder.parent)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def read_checkpoint(folder: Path) -> Checkpoint:
    """Read a checkpoint after checking every file against the manifest.

    Raises:
        DamagedCheckpointError: a file is missing or differs; the message names it.
        InputError: the folder does not exist, or a later version wrote it.
    """
    names = verify_checkpoint(folder)
    tensors = {}
    for name in names:
        if name.endswith(".safetensors"):
            try:
                tensors[Path(name).stem] = safetensors.torch.load_file(folder / name)
            except SafetensorError as error:
                raise DamagedCheckpointError(f"{folder / name}: {error}") from error
    return Checkpoint(tensors, json.loads((folder / _STATE).read_text(encoding="utf-8")))


def verify_checkpoint(folder: Path) -> list[str]:
    """Check every file of a checkpoint against its manifest; return their names.

    Raises:
        DamagedCheckpointError: a file is missing or differs; the message names it.
        InputError: the folder does not exist, or a later version wrote it.
    """
    if not folder.is_dir():
        raise InputError(Problem(str(folder), "there is no such checkpoint"))
    path = folder / _MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        written_format, files = manifest["format"], dict(manifest["files"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DamagedCheckpointError(f"{path}: is missing or unreadable ({error})") from error
    if written_format != FORMAT:
        raise InputError(
            Problem(
                str(folder),
                f"has checkpoint format {written_format}; this version reads "
                f"format {FORMAT}: use the version of Foldwright that wrote it",
            )
        )
    for name, expected in files.items():
        _verify_file(folder / name, expected)
    return list(files)


def _verify_file(path: Path, expected: Mapping[str, Any]) -> None:
    if not path.is_file():
        raise DamagedCheckpointError(f"{path}: is missing")
    size = path.stat().st_size
    if size != expected["bytes"]:
        raise DamagedCheckpointError(
            f"{path}: has {size} bytes, but {expected['bytes']} were written"
        )
    digest = sha256_file(path)
    if digest != expected["sha256"]:
        raise DamagedCheckpointError(
            f"{path}: SHA-256 {digest[:12]}... is not that of what was written "
            f"({str(expected['sha256'])[:12]}...)"
        )


def _flush_folder(folder: Path) -> None:
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
