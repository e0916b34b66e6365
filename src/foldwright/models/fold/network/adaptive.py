"""Layers whose scale, shift and gate follow a conditioning vector."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import silu

from foldwright.nn.linear import Linear


class Modulation(NamedTuple):
    """What a conditioning vector makes of one block: scale and shift of its norm, its gate.

    It is computed once for everything that shares the condition: all samples of a noise level,
    or all noise levels.
    """

    scale: Float[Tensor, "*batch c"]
    shift: Float[Tensor, "*batch c"]
    gate: Float[Tensor, "*batch o"]


class AdaptiveLayerNorm(nn.Module):
    """Layer norm with conditioned scale and shift (Abramson et al. 2024, algorithm 26)."""

    def __init__(self, channels: int, condition_channels: int) -> None:
        super().__init__()
        self.layer_norm = nn.LayerNorm(channels, elementwise_affine=False)
        self.condition_norm = nn.LayerNorm(condition_channels, bias=False)
        self.scale = Linear(condition_channels, channels)
        self.shift = Linear(condition_channels, channels, bias=False)

    def modulation(
        self, condition: Float[Tensor, "*batch d"]
    ) -> tuple[Float[Tensor, "*batch c"], Float[Tensor, "*batch c"]]:
        """Return scale and shift."""
        condition = self.condition_norm(condition)
        return self.scale(condition).sigmoid_(), self.shift(condition)

    def forward(
        self,
        x: Float[Tensor, "*batch c"],
        scale: Float[Tensor, "*batch c"],
        shift: Float[Tensor, "*batch c"],
    ) -> Float[Tensor, "*batch c"]:
        """Normalise `x` and move it."""
        return torch.addcmul(shift, scale, self.layer_norm(x))


class AdaptiveOutput(nn.Module):
    """Linear map gated by the condition: starts near zero in training (algorithm 24, line 14)."""

    def __init__(self, channels: int, channels_out: int, condition_channels: int) -> None:
        super().__init__()
        self.linear = Linear(channels, channels_out, bias=False)
        self.gate = Linear(condition_channels, channels_out)

    def opening(self, condition: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch o"]:
        """Return how open the gate is; the condition enters as it is, without a norm."""
        gate: Tensor = self.gate(condition).sigmoid_()
        return gate

    def forward(
        self, x: Float[Tensor, "*batch c"], gate: Float[Tensor, "*batch o"]
    ) -> Float[Tensor, "*batch o"]:
        """Map `x`."""
        update: Tensor = self.linear(x).mul_(gate)
        return update


class ConditionedTransition(nn.Module):
    """SwiGLU with adaptive norm and output (Abramson et al. 2024, algorithm 25)."""

    def __init__(self, channels: int, condition_channels: int, *, factor: int) -> None:
        super().__init__()
        self.norm = AdaptiveLayerNorm(channels, condition_channels)
        self.up = Linear(channels, 2 * factor * channels, bias=False, init="relu")
        self.out = AdaptiveOutput(factor * channels, channels, condition_channels)

    def modulation(self, condition: Float[Tensor, "*batch d"]) -> Modulation:
        """Return what `forward` needs of the condition."""
        return Modulation(*self.norm.modulation(condition), self.out.opening(condition))

    def forward(self, x: Float[Tensor, "*batch c"], by: Modulation) -> Float[Tensor, "*batch c"]:
        """Compute the update without residual."""
        normed = self.norm(x, by.scale, by.shift)
        gate, value = (normed @ part.t() for part in self.up.weight.chunk(2))
        update: Tensor = self.out(silu(gate, inplace=True).mul_(value), by.gate)
        return update
