"""What `foldwright doctor --tune` measured on this machine, kept in the user's cache folder."""

import json
import logging
import os
import platform
import sys
from functools import cache
from pathlib import Path
from typing import Any

import torch

from foldwright.runtime.files import write_atomic

_LOG = logging.getLogger(__name__)
_FORMAT = 1


def tuning_path() -> Path:
    """Where measurements are kept: in the user's cache folder, by the custom of the platform."""
    home = Path.home()
    if sys.platform == "win32":
        folder = os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local"
    elif sys.platform == "darwin":
        folder = home / "Library" / "Caches"
    else:
        folder = os.environ.get("XDG_CACHE_HOME") or home / ".cache"
    return Path(folder) / "foldwright" / "tuning.json"


def measured_crossover(device: torch.device | str) -> int | None:
    """Return the length measured for this device and torch version, or None.

    The file is read once per process. One that is damaged or not ours is named in a warning and
    not used.
    """
    return _stored(tuning_path()).get(_key(torch.device(device)))


def save_crossover(device: torch.device | str, length: int) -> None:
    """Keep the length from which linear memory pays on this device; other entries stay."""
    path = tuning_path()
    entries = _stored(path) | {_key(torch.device(device)): length}
    record = {"format": _FORMAT, "point attention crossover": dict(sorted(entries.items()))}
    write_atomic(path, json.dumps(record, indent=1) + "\n")
    _stored.cache_clear()


def _key(device: torch.device) -> str:
    """Measurements of another torch, or another device, are not those of this one."""
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
    else:
        capability = torch.backends.cpu.get_cpu_capability()
        name = f"{device.type} {platform.machine()} {capability} {torch.get_num_threads()} threads"
    return f"torch {torch.__version__}, {name}"


@cache
def _stored(path: Path) -> dict[str, int]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        _warn(path, str(error))
        return {}
    entries = found.get("point attention crossover") if isinstance(found, dict) else None
    if not isinstance(entries, dict) or found.get("format") != _FORMAT:
        _warn(path, f"it is no record of format {_FORMAT}")
        return {}
    if not all(_is_length(value) for value in entries.values()):
        _warn(path, "a crossover is no length")
        return {}
    return entries


def _is_length(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _warn(path: Path, reason: str) -> None:
    _LOG.warning(
        "%s is not used: %s; `foldwright doctor --tune` measures again and replaces it",
        path,
        reason,
    )
