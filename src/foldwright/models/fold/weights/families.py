"""Which families' checkpoints are read, and how each is recognised."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from foldwright.models.fold.config import FoldConfig
from foldwright.models.fold.family import FAMILIES, FamilyName
from foldwright.models.fold.network.fold_network import FoldNetwork
from foldwright.models.fold.weights import openfold3, protenix
from foldwright.models.fold.weights.assembly import Layout, assemble, assembly_problems
from foldwright.runtime.errors import InputError, Problem

Tensors = Mapping[str, Tensor]


@dataclass(frozen=True)
class CheckpointFamily:
    """How the checkpoints of one family are read.

    Attributes:
        telling: a name that all its checkpoints have and no other family's.
        prepare: leaves out tensors that nobody reads; raises InputError for a checkpoint of a
            similar kind that is not read.
        config: sizes of the network from the shapes of the tensors; raises InputError.
        layout: which tensors each parameter is made of.
    """

    telling: str
    prepare: Callable[[Tensors], dict[str, Tensor]]
    config: Callable[[Mapping[str, torch.Size]], FoldConfig]
    layout: Callable[[FoldNetwork], Layout]


CHECKPOINTS: Mapping[FamilyName, CheckpointFamily] = {
    "openfold3-preview": CheckpointFamily(
        openfold3.PREVIEW_TELLING,
        openfold3.openfold3_tensors,
        openfold3.openfold3_config,
        openfold3.openfold3_layout,
    ),
    "openfold3": CheckpointFamily(
        openfold3.TELLING,
        openfold3.openfold3_tensors,
        openfold3.openfold3_config,
        openfold3.openfold3_layout,
    ),
    "protenix": CheckpointFamily(
        protenix.TELLING,
        protenix.protenix_tensors,
        protenix.protenix_config,
        protenix.protenix_layout,
    ),
}


def recognised(tensors: Tensors) -> FamilyName | None:
    """Return the family whose telling name is among the tensors."""
    return next((name for name, one in CHECKPOINTS.items() if one.telling in tensors), None)


def identified(tensors: Tensors, source: str) -> tuple[dict[str, Tensor], FoldConfig]:
    """Return what a checkpoint's parameters are made of, and the configuration it was made with.

    Raises:
        InputError: its family is not known, its version is not read, or its sizes cannot be told.
    """
    name = recognised(tensors)
    if name is None:
        known = ", ".join(FAMILIES[family].title for family in CHECKPOINTS)
        first = next(iter(tensors), "nothing")
        raise InputError(
            Problem(source, f"is of no family that is read ({known}); it begins with {first}")
        )
    family = CHECKPOINTS[name]
    try:
        prepared = family.prepare(tensors)
        config = family.config({key: value.shape for key, value in prepared.items()})
    except InputError as error:
        raise InputError([Problem(source, problem.message) for problem in error.problems]) from None
    return prepared, config


def checkpoint_problems(tensors: Tensors, network: FoldNetwork) -> list[str]:
    """Say which tensors are missing, of another shape than the network's, or not known."""
    family = CHECKPOINTS[network.config.family]
    wanted = {name: value.shape for name, value in network.named_parameters()}
    return assembly_problems(tensors, family.layout(network), wanted)


def checkpoint_parameters(tensors: Tensors, network: FoldNetwork) -> dict[str, Tensor]:
    """Return all parameters of the network; the tensors fit it (`checkpoint_problems`)."""
    return assemble(tensors, CHECKPOINTS[network.config.family].layout(network))
