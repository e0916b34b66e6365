"""Check a set of weights against the network, load it, and keep it as safetensors."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from foldwright.models.fold.config import FoldConfig
from foldwright.models.fold.network.fold_network import FoldNetwork
from foldwright.models.fold.precision import FoldPrecision, set_precision
from foldwright.models.fold.weights.checkpoint import (
    SUFFIXES,
    read_checkpoint,
    read_safetensors,
    unwrapped,
)
from foldwright.models.fold.weights.families import (
    CHECKPOINTS,
    checkpoint_parameters,
    checkpoint_problems,
    identified,
    recognised,
)
from foldwright.models.fold.weights.problems import raise_problems
from foldwright.models.fold.weights.record_parameters import (
    parameters_from_records,
    record_problems,
)
from foldwright.models.fold.weights.records import IDENTIFIER, read_records
from foldwright.runtime.errors import InputError, Problem
from foldwright.runtime.files import atomic_path


@dataclass(frozen=True)
class WeightsSummary:
    """What a file of weights holds, and whether the network of `config` can be built from it."""

    source: Path
    family: str
    records: int
    values: int
    dtypes: dict[str, int]
    identifier: str
    config: FoldConfig
    problems: tuple[str, ...]


@dataclass(frozen=True)
class StoredWeights:
    """Tensors of a file under the names they have there, and the network they are for."""

    source: Path
    tensors: Mapping[str, Tensor]
    config: FoldConfig
    converted: bool
    identifier: str

    def problems(self, network: FoldNetwork) -> list[str]:
        """Say what is missing, surplus or of another shape."""
        if self.converted:
            return _converted_problems(self.tensors, network)
        if self.config.family in CHECKPOINTS:
            return checkpoint_problems(self.tensors, network)
        return record_problems(self.tensors, network, "")

    def parameters(self, network: FoldNetwork) -> dict[str, Tensor]:
        """Return the parameters of the network under our names.

        Raises:
            InputError: every tensor that is missing, surplus or has another shape.
        """
        raise_problems(self.problems(network), str(self.source))
        if self.converted:
            return dict(self.tensors)
        if self.config.family in CHECKPOINTS:
            return checkpoint_parameters(self.tensors, network)
        return parameters_from_records(self.tensors, network, "", str(self.source))


def inspect_weights(path: Path, config: FoldConfig | None = None) -> WeightsSummary:
    """Read a file of weights and compare it with what the network needs.

    Raises:
        InputError, FoldwrightError: as `read_weights`.
    """
    stored = read_weights(path, config)
    dtypes: dict[str, int] = {}
    for values in stored.tensors.values():
        name = str(values.dtype).removeprefix("torch.")
        dtypes[name] = dtypes.get(name, 0) + 1
    parameters = [values for name, values in stored.tensors.items() if name != IDENTIFIER]
    return WeightsSummary(
        source=path,
        family=stored.config.differences.title,
        records=len(stored.tensors),
        values=sum(values.numel() for values in parameters),
        dtypes=dtypes,
        identifier=stored.identifier,
        config=stored.config,
        problems=tuple(stored.problems(empty_network(stored.config))),
    )


def load_fold(
    path: Path, config: FoldConfig | None = None, precision: FoldPrecision = "float32"
) -> FoldNetwork:
    """Build the network from a file of weights, the family's own or converted ones.

    Converted weights (`.safetensors`) are mapped into memory, not read; in `float32` they stay so.

    Args:
        path: record files, checkpoints of the known families, or converted weights.
        config: sizes; by default those that a checkpoint or converted file tells, and the
            released ones for record files.
        precision: number format of the trunk.

    Raises:
        InputError: the file does not fit the network; every missing, surplus or misshapen record.
        FoldwrightError: the file is damaged.
    """
    stored = read_weights(path, config)
    network = empty_network(stored.config)
    network.load_state_dict(stored.parameters(network), strict=True, assign=True)
    set_precision(network, precision)
    return network.eval().requires_grad_(False)


def convert_weights(path: Path, config: FoldConfig | None, out: Path) -> int:
    """Write parameters under our names, with the configuration; return their number.

    Raises:
        InputError, FoldwrightError: as `load_fold`; or `out` does not end in `.safetensors`.
    """
    if out.suffix != ".safetensors":
        raise InputError(Problem(str(out), "is not a name for weights; end it in .safetensors"))
    stored = read_weights(path, config)
    parameters = stored.parameters(empty_network(stored.config))
    metadata = {
        "format": "pt",
        "identifier": stored.identifier,
        "config": stored.config.model_dump_json(),
    }
    with atomic_path(out) as target:
        save_file(
            {name: value.contiguous() for name, value in parameters.items()}, target, metadata
        )
    return len(parameters)


def read_weights(path: Path, config: FoldConfig | None) -> StoredWeights:
    """Read the tensors of a file and find out which network they are for.

    Raises:
        InputError: the file is not there, its family is not known or is not that of `config`.
        FoldwrightError: it is damaged.
    """
    if path.suffix == ".safetensors":
        return _read_safetensors(path, config)
    if path.suffix in SUFFIXES:
        return _foreign(path, read_checkpoint(path), config)
    records = read_records(path)
    chosen = config or FoldConfig()
    return StoredWeights(path, records, chosen, converted=False, identifier=_identifier(records))


def empty_network(config: FoldConfig) -> FoldNetwork:
    """Build the network without memory for its parameters: names and shapes only."""
    with torch.device("meta"):
        return FoldNetwork(config)


def _foreign(path: Path, tensors: Mapping[str, Tensor], config: FoldConfig | None) -> StoredWeights:
    prepared, told = identified(tensors, str(path))
    _same_family(path, told, config)
    return StoredWeights(path, prepared, config or told, converted=False, identifier="")


def _read_safetensors(path: Path, config: FoldConfig | None) -> StoredWeights:
    """Read converted weights, or a checkpoint that is kept in this format."""
    tensors, notes = read_safetensors(path)
    if recognised(unwrapped(tensors)):
        return _foreign(path, unwrapped(tensors), config)
    told = FoldConfig()
    if "config" in notes:
        told = FoldConfig.model_validate_json(notes["config"])
        _same_family(path, told, config)
    identifier = notes.get("identifier", "")
    return StoredWeights(path, tensors, config or told, converted=True, identifier=identifier)


def _same_family(path: Path, told: FoldConfig, config: FoldConfig | None) -> None:
    if config is not None and config.family != told.family:
        raise InputError(
            Problem(
                str(path),
                f"has weights of {told.differences.title}, the configuration says "
                f"{config.differences.title}; set family: {told.family}",
            )
        )


def _identifier(records: Mapping[str, Tensor]) -> str:
    if IDENTIFIER not in records:
        return ""
    return bytes(records[IDENTIFIER].tolist()).decode("ascii", errors="replace").rstrip("\0")


def _converted_problems(parameters: Mapping[str, Tensor], network: FoldNetwork) -> list[str]:
    wanted = {name: value.shape for name, value in network.named_parameters()}
    problems = [f"{name} is missing" for name in wanted if name not in parameters]
    for name, value in parameters.items():
        if name not in wanted:
            problems.append(f"{name} is not a part of this network")
        elif wanted[name] != value.shape:
            problems.append(
                f"{name} has shape {tuple(value.shape)}, expected {tuple(wanted[name])}"
            )
    return problems
