"""How our parameters are made from the tensors of another program's checkpoint."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

ZERO = -1
"""Place in an order of columns that stands for a column of zeros."""


@dataclass(frozen=True)
class Assembly:
    """The tensors that a parameter is made of, and how; `make` also runs on shapes alone.

    `make` raises ValueError or RuntimeError where the tensors do not fit together.
    """

    names: tuple[str, ...]
    make: Callable[..., Tensor]


Layout = Mapping[str, Assembly]
"""Assembly of every parameter, by our name."""


def same(name: str) -> Assembly:
    """Take a tensor as it is."""
    return Assembly((name,), lambda tensor: tensor)


def stacked(*names: str) -> Assembly:
    """Put matrices of one shape one above the other."""

    def make(*tensors: Tensor) -> Tensor:
        return torch.stack(tensors).flatten(0, 1)

    return Assembly(names, make)


def chosen(name: str, order: Sequence[int]) -> Assembly:
    """Bring the last axis into another order; `ZERO` stands for zeros.

    Every entry of the tensor is used exactly once.
    """
    used = sorted(place for place in order if place != ZERO)
    assert used == list(range(len(used))), "an order uses every column once"

    def make(tensor: Tensor) -> Tensor:
        if tensor.shape[-1] != len(used):
            raise ValueError(f"has {tensor.shape[-1]} columns, expected {len(used)}")
        places = torch.tensor([max(place, 0) for place in order], device=tensor.device)
        found = torch.tensor([place != ZERO for place in order], device=tensor.device)
        return tensor.index_select(-1, places) * found.to(tensor.dtype)

    return Assembly((name,), make)


def assembly_problems(
    tensors: Mapping[str, Tensor],
    layout: Layout,
    wanted: Mapping[str, torch.Size],
) -> list[str]:
    """Say which tensors are missing, of another shape than the network's, or not known.

    Args:
        tensors: the checkpoint; shapes are enough (tensors on the meta device).
        layout: how each parameter is made.
        wanted: shape of each parameter.
    """
    assert layout.keys() == wanted.keys(), "every parameter has an assembly"
    problems = [
        problem
        for name, assembly in layout.items()
        if (problem := _problem(tensors, assembly, wanted[name]))
    ]
    known = {name for assembly in layout.values() for name in assembly.names}
    surplus = [name for name in tensors if name not in known]
    return problems + [f"tensor {name} is not a part of this network" for name in surplus]


def assemble(tensors: Mapping[str, Tensor], layout: Layout) -> dict[str, Tensor]:
    """Make all parameters, in single precision; the tensors fit (`assembly_problems`)."""
    return {
        name: assembly.make(*(tensors[source] for source in assembly.names)).float().contiguous()
        for name, assembly in layout.items()
    }


def _problem(tensors: Mapping[str, Tensor], assembly: Assembly, shape: torch.Size) -> str:
    missing = [name for name in assembly.names if name not in tensors]
    if missing:
        return f"tensor {missing[0]} is missing"
    parts = [torch.empty_like(tensors[name], device="meta") for name in assembly.names]
    listed = ", ".join(f"{name} {tuple(tensors[name].shape)}" for name in assembly.names)
    try:
        found = assembly.make(*parts).shape
    except (ValueError, RuntimeError) as error:
        return f"tensor {listed} does not fit: {error}"
    if found != shape:
        return f"tensor {listed} gives a parameter of {tuple(found)}, expected {tuple(shape)}"
    return ""
