"""Random numbers that belong to one item each."""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

NoiseSource = Callable[[Tensor], Tensor]
"""Standard normal numbers of the shape, dtype and device of the given sample."""


class ItemNoise:
    """Noise whose item `i` comes only from `generators[i]`, and only as much as it is long.

    An item's numbers therefore depend neither on its companions in the batch nor on how far the
    batch is padded; padding gets zeros. Generators live on the CPU, so that every device sees
    the same numbers.
    """

    def __init__(self, generators: Sequence[torch.Generator], lengths: Sequence[int]) -> None:
        self._items = list(zip(generators, lengths, strict=True))

    def __call__(self, like: Float[Tensor, "b n *d"]) -> Float[Tensor, "b n *d"]:
        """Draw the next numbers of every item."""
        noise = torch.zeros(like.shape, dtype=like.dtype)
        for row, (generator, length) in zip(noise, self._items, strict=True):
            row[:length] = torch.randn(
                (length, *like.shape[2:]), generator=generator, dtype=like.dtype
            )
        return noise.to(like.device)
