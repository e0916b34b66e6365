"""Writes parameter record files, for tests that read them."""

import struct
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from foldwright.models.fold.weights.layout import UNUSED, parameter_sources
from foldwright.models.fold.weights.records import IDENTIFIER

_NAMES = {torch.float32: "float32", torch.bfloat16: "bfloat16", torch.uint8: "uint8"}


def record_bytes(name: str, values: Tensor) -> bytes:
    scope, _, own = name.rpartition(":")
    texts = [scope.encode(), own.encode(), _NAMES[values.dtype].encode()]
    data = bytes(values.contiguous().view(-1).view(torch.uint8).tolist())
    header = struct.pack("<5i", *(len(text) for text in texts), values.ndim, len(data))
    return header + b"".join(texts) + struct.pack(f"<{values.ndim}i", *values.shape) + data


def records_bytes(records: Mapping[str, Tensor]) -> bytes:
    return b"".join(record_bytes(name, values) for name, values in records.items())


def random_records(module: nn.Module) -> dict[str, Tensor]:
    """Records from which the network can be built, with one flat axis per layer."""
    generator = torch.Generator().manual_seed(0)
    shapes: dict[str, tuple[list[int], tuple[int, ...]]] = {}
    wanted = dict(module.named_parameters())
    for name, origin in parameter_sources(module, "").items():
        if origin is None:
            continue
        shape = wanted[name].shape
        if origin.order == "rows":
            own = tuple(shape)
        elif origin.order == "vector":
            own = (shape.numel(),)
        else:
            own = (shape[1], shape[0] * (2 if origin.order in ("even", "odd") else 1))
        lengths, _ = shapes.setdefault(origin.record, ([0] * len(origin.place), own))
        for axis, place in enumerate(origin.place):
            lengths[axis] = max(lengths[axis], place + 1)
    records = {
        name: 0.2 * torch.randn(*lengths, *own, generator=generator)
        for name, (lengths, own) in shapes.items()
    }
    records |= {name: torch.zeros(1) for name in UNUSED}
    records[IDENTIFIER] = torch.tensor(list(b"made-by-a-test".ljust(64, b"\0")), dtype=torch.uint8)
    return records
