"""Parameters from the records of the original's files."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from foldwright.models.fold.weights.layout import UNUSED, Source, parameter_sources
from foldwright.models.fold.weights.problems import raise_problems
from foldwright.models.fold.weights.records import IDENTIFIER


def parameters_from_records(
    records: Mapping[str, Tensor], module: nn.Module, path: str, source: str
) -> dict[str, Tensor]:
    """Return single precision parameters of `module`, whose records' names begin with `path`.

    Raises:
        InputError: every record that is missing, surplus or has another shape.
    """
    raise_problems(record_problems(records, module, path), source)
    parameters = {}
    wanted = dict(module.named_parameters())
    for name, origin in parameter_sources(module, path).items():
        shape = wanted[name].shape
        parameters[name] = (
            torch.zeros(shape)
            if origin is None
            else origin.read(records[origin.record], shape).float()
        )
    return parameters


def record_problems(records: Mapping[str, Tensor], module: nn.Module, path: str) -> list[str]:
    """Say which records are missing, not known, or of another shape than the network's."""
    wanted = dict(module.named_parameters())
    counts: dict[str, list[Source]] = {}
    problems = []
    for name, origin in parameter_sources(module, path).items():
        if origin is None:
            continue
        known = counts.setdefault(origin.record, [])
        known.append(origin)
        if origin.record in records and len(known) == 1:
            problem = _shape_problem(records[origin.record], origin, wanted[name].shape)
            if problem:
                problems.append(f"record {origin.record} {problem}")
    for record, origins in counts.items():
        if record not in records:
            problems.append(f"record {record} is missing")
            continue
        lengths = tuple(max(places) + 1 for places in zip(*(o.place for o in origins), strict=True))
        found = tuple(records[record].shape[: len(lengths)])
        if found != lengths:
            problems.append(f"record {record} stacks {found} layers, expected {lengths}")
    whole = not path
    unused = set(UNUSED) | {IDENTIFIER} if whole else set()
    problems += [f"record {name} is missing" for name in UNUSED if whole and name not in records]
    surplus = sorted(set(records) - set(counts) - unused) if whole else []
    problems += [f"record {name} is not a part of this network" for name in surplus]
    return problems


def _shape_problem(stored: Tensor, origin: Source, shape: torch.Size) -> str:
    found = origin.stored_shape(stored)
    count = stored[origin.place].numel() if stored.ndim >= len(origin.place) else -1
    expected = shape.numel() * (2 if origin.order in ("even", "odd") else 1)
    width_fits = origin.order != "columns" or shape[1] == 1 or _product_reaches(found, shape[1])
    if count != expected or not width_fits:
        return f"has shape {found} per layer, which does not give a parameter of {tuple(shape)}"
    return ""


def _product_reaches(shape: tuple[int, ...], width: int) -> bool:
    """Whether some leading axes together have `width` entries."""
    product = 1
    for size in shape:
        product *= size
        if product == width:
            return True
    return False
