"""The running mean of the weights."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from jaxtyping import Shaped
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn


def decay_at(decay: float, step: int) -> float:
    """Return the decay of step `step`, counted from 1: short memory at first.

    `min(decay, (1 + step) / (10 + step))`, so that the random start is forgotten.
    """
    return min(decay, (1 + step) / (10 + step))


class WeightAverage:
    """Exponential mean of the floating-point weights of a module.

    Buffers are not averaged: they hold what the module holds.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self._decay = decay
        self._module = module
        self._means = {name: p.detach().clone() for name, p in module.named_parameters()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after step `step`, counted from 1."""
        current = [parameter.detach() for parameter in self._module.parameters()]
        average = get_ema_multi_avg_fn(decay_at(self._decay, step))
        average(list(self._means.values()), current, torch.tensor(step))

    def tensors(self) -> dict[str, Shaped[Tensor, "..."]]:
        """Return a whole state dictionary of the module, with the means as weights."""
        return {**self._module.state_dict(), **self._means}

    def restore(self, tensors: Mapping[str, Shaped[Tensor, "..."]]) -> None:
        """Put back what `tensors` returned."""
        for name, mean in self._means.items():
            mean.copy_(tensors[name])

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Let the module have the means as its weights within the block."""
        weights = {name: p.detach().clone() for name, p in self._module.named_parameters()}
        self._load(self._means)
        try:
            yield
        finally:
            self._load(weights)

    @torch.no_grad()
    def _load(self, weights: Mapping[str, Tensor]) -> None:
        for name, parameter in self._module.named_parameters():
            parameter.copy_(weights[name])
