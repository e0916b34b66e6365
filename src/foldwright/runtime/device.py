"""Which device the work runs on."""

import logging

import torch

from foldwright.runtime.errors import InputError

_LOG = logging.getLogger(__name__)
_CHOICES = "auto, cpu, cuda, cuda:1 or mps"


def select_device(name: str = "auto") -> torch.device:
    """Return the device of a name: `auto`, `cpu`, `cuda`, `cuda:1` or `mps`.

    `auto` takes a CUDA device, else Apple's MPS, else the CPU, and logs which. A named device is
    taken or refused, never replaced.

    Raises:
        InputError: the name is not a device, or this machine does not have it.
    """
    if name == "auto":
        chosen = best_device()
        _LOG.info("device: %s, the best this machine has", chosen)
        return chosen
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise InputError(f"device {name!r} is not known; write {_CHOICES}") from error
    if device.type not in ("cpu", "cuda", "mps"):
        raise InputError(f"device {name!r} is not supported; write {_CHOICES}")
    _require(device)
    return device


def best_device() -> torch.device:
    """Return what `auto` stands for on this machine: CUDA, else MPS, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def _require(device: torch.device) -> None:
    if device.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (device.index or 0) >= count:
            raise InputError(
                f"device {str(device)!r} was asked for, but this machine has {count} CUDA "
                f"device(s) that torch {torch.__version__} can use; write --device cpu, or run "
                "foldwright doctor to see what there is"
            )
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise InputError(
            "device 'mps' was asked for, but this machine has none that torch "
            f"{torch.__version__} can use; write --device cpu"
        )
