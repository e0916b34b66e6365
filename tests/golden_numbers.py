"""Reads the reference numbers of the original programs (prefixes in, w, out, out64, cot, grad)."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

_OWN = Path(__file__).resolve().parent / "golden"


@dataclass(frozen=True)
class Golden:
    """One file: tensors by prefix, floats in the dtype that was asked for."""

    arrays: dict[str, np.ndarray]
    config: dict[str, Any]
    dtype: torch.dtype

    def tensor(self, key: str) -> Tensor:
        array = torch.from_numpy(np.array(self.arrays[key]))
        return array.to(self.dtype) if array.is_floating_point() else array

    def input(self, name: str) -> Tensor:
        return self.tensor(f"in.{name}")

    def mask(self) -> Tensor:
        return self.input("mask") > 0.5

    def result(self, name: str) -> Tensor:
        return torch.from_numpy(np.array(self.arrays[f"out64.{name}"]))

    def names(self, prefix: str) -> list[str]:
        return [key[len(prefix) :] for key in self.arrays if key.startswith(prefix)]

    def load_into(self, module: nn.Module) -> nn.Module:
        """Give the stored weights to a module whose parameter names must be the same."""
        weights = {name: self.tensor(f"w.{name}") for name in self.names("w.")}
        module.to(self.dtype).load_state_dict(weights, strict=True)
        return module.eval()


def load_golden(shared: Path, name: str, dtype: torch.dtype = torch.float64) -> Golden:
    """Read `family/file` from the tests' own copies or else from the shared folder."""
    own = _OWN / f"{name}.npz"
    path = own if own.is_file() else shared / f"{name}.npz"
    with np.load(path) as stored:
        arrays = {key: stored[key] for key in stored.files}
    meta = json.loads(str(arrays.pop("meta")))
    return Golden(arrays, meta.get("config") or {}, dtype)


def assert_close(
    found: Tensor, expected: Tensor, tolerance: float, where: Tensor | None = None
) -> None:
    """Compare absolutely, optionally only where a mask (broadcast from the left) is set."""
    error = (found.double() - expected.double()).abs()
    if where is not None:
        mask = where.view(*where.shape, *([1] * (error.dim() - where.dim())))
        error = error * mask
    assert torch.isfinite(error).all(), "not finite"
    assert error.max().item() <= tolerance, f"off by {error.max().item():.3g}, allowed {tolerance}"
