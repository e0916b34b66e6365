"""Check a set of records against the network, load it, and keep it as safetensors."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from foldwright.models.fold.config import FoldConfig
from foldwright.models.fold.network.fold_network import FoldNetwork
from foldwright.models.fold.precision import FoldPrecision, set_precision
from foldwright.models.fold.weights.layout import UNUSED, Source, parameter_sources
from foldwright.models.fold.weights.records import IDENTIFIER, read_records
from foldwright.runtime.errors import FoldwrightError, InputError, Problem
from foldwright.runtime.files import atomic_path

_MOST_PROBLEMS = 20


@dataclass(frozen=True)
class WeightsSummary:
    """What a parameter file holds, and whether the network of `config` can be built from it."""

    source: Path
    records: int
    values: int
    dtypes: dict[str, int]
    identifier: str
    problems: tuple[str, ...]


def inspect_weights(path: Path, config: FoldConfig) -> WeightsSummary:
    """Read a record file and compare it with what the network needs.

    Raises:
        InputError, FoldwrightError: as `read_records`.
    """
    records = read_records(path)
    dtypes: dict[str, int] = {}
    for values in records.values():
        name = str(values.dtype).removeprefix("torch.")
        dtypes[name] = dtypes.get(name, 0) + 1
    parameters = [values for name, values in records.items() if name != IDENTIFIER]
    return WeightsSummary(
        source=path,
        records=len(records),
        values=sum(values.numel() for values in parameters),
        dtypes=dtypes,
        identifier=_identifier(records),
        problems=tuple(record_problems(records, empty_network(config), "")),
    )


def load_fold(path: Path, config: FoldConfig, precision: FoldPrecision = "float32") -> FoldNetwork:
    """Build the network from a record file or from converted weights.

    Converted weights (`.safetensors`) are mapped into memory, not read; in `float32` they stay so.

    Raises:
        InputError: the file does not fit the network; every missing, surplus or misshapen record.
        FoldwrightError: the file is damaged.
    """
    network = empty_network(config)
    if path.suffix == ".safetensors":
        parameters = _converted(path, network)
    else:
        parameters = parameters_from_records(read_records(path), network, "", str(path))
    network.load_state_dict(parameters, strict=True, assign=True)
    set_precision(network, precision)
    return network.eval().requires_grad_(False)


def convert_weights(path: Path, config: FoldConfig, out: Path) -> int:
    """Write a record file's parameters under our names; return their number.

    Raises:
        InputError, FoldwrightError: as `load_fold`; or `out` does not end in `.safetensors`.
    """
    if out.suffix != ".safetensors":
        raise InputError(Problem(str(out), "is not a name for weights; end it in .safetensors"))
    records = read_records(path)
    parameters = parameters_from_records(records, empty_network(config), "", str(path))
    metadata = {"format": "pt", "identifier": _identifier(records)}
    with atomic_path(out) as target:
        save_file(
            {name: value.contiguous() for name, value in parameters.items()}, target, metadata
        )
    return len(parameters)


def empty_network(config: FoldConfig) -> FoldNetwork:
    """Build the network without memory for its parameters: names and shapes only."""
    with torch.device("meta"):
        return FoldNetwork(config)


def parameters_from_records(
    records: Mapping[str, Tensor], module: nn.Module, path: str, source: str
) -> dict[str, Tensor]:
    """Return single precision parameters of `module`, whose records' names begin with `path`.

    Raises:
        InputError: every record that is missing, surplus or has another shape.
    """
    problems = record_problems(records, module, path)
    if problems:
        shown = problems[:_MOST_PROBLEMS]
        if len(problems) > len(shown):
            shown.append(f"and {len(problems) - len(shown)} more; is it the right file?")
        raise InputError([Problem(source, problem) for problem in shown])
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


def _identifier(records: Mapping[str, Tensor]) -> str:
    if IDENTIFIER not in records:
        return ""
    return bytes(records[IDENTIFIER].tolist()).decode("ascii", errors="replace").rstrip("\0")


def _converted(path: Path, network: FoldNetwork) -> dict[str, Tensor]:
    if not path.is_file():
        raise InputError(Problem(str(path), "does not exist"))
    try:
        parameters = load_file(path)
    except ValueError as error:
        raise FoldwrightError(f"{path}: damaged weights ({error}); convert them again") from error
    wanted = {name: value.shape for name, value in network.named_parameters()}
    names = sorted(wanted.keys() ^ parameters.keys())
    problems = [Problem(str(path), f"{name} is missing or not known") for name in names]
    problems += [
        Problem(str(path), f"{name} has shape {tuple(value.shape)}, expected {tuple(wanted[name])}")
        for name, value in parameters.items()
        if name in wanted and wanted[name] != value.shape
    ]
    if problems:
        raise InputError(problems[:_MOST_PROBLEMS])
    return parameters
