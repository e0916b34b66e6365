"""Where the first NaN or infinity is."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Shaped
from torch import Tensor


@dataclass(frozen=True)
class NonFinite:
    """The first tensor with non-finite values: its name, their first index and their number."""

    name: str
    index: tuple[int, ...]
    count: int

    def __str__(self) -> str:
        return f"{self.name} has {self.count} non-finite value(s), the first at {list(self.index)}"


def first_non_finite(tensors: Mapping[str, Shaped[Tensor, "..."]]) -> NonFinite | None:
    """Return the first tensor, in the order given, that holds a NaN or an infinity, or None.

    Integer, boolean and empty tensors are always finite. The index of a scalar is `()`.
    """
    for name, tensor in tensors.items():
        bad = ~torch.isfinite(tensor.detach())
        count = int(bad.sum())
        if count:
            first = int(bad.flatten().to(torch.uint8).argmax())
            index = torch.unravel_index(torch.tensor(first), bad.shape)
            return NonFinite(name, tuple(int(position) for position in index), count)
    return None
