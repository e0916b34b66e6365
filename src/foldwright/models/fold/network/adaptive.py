"""Layers whose scale, shift and gate follow a conditioning vector."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import silu

from foldwright.nn.linear import Linear


class AdaptiveLayerNorm(nn.Module):
    """Layer norm with conditioned scale and shift (Abramson et al. 2024, algorithm 26)."""

    def __init__(self, channels: int, condition_channels: int) -> None:
        super().__init__()
        self.layer_norm = nn.LayerNorm(channels, elementwise_affine=False)
        self.condition_norm = nn.LayerNorm(condition_channels, bias=False)
        self.scale = Linear(condition_channels, channels)
        self.shift = Linear(condition_channels, channels, bias=False)

    def forward(
        self, x: Float[Tensor, "*batch c"], condition: Float[Tensor, "*batch d"]
    ) -> Float[Tensor, "*batch c"]:
        """Normalise `x` and move it by the condition."""
        condition = self.condition_norm(condition)
        moved: Tensor = torch.sigmoid(self.scale(condition)) * self.layer_norm(x)
        return moved + self.shift(condition)


class AdaptiveOutput(nn.Module):
    """Linear map gated by the condition: starts near zero in training (algorithm 24, line 14)."""

    def __init__(self, channels: int, channels_out: int, condition_channels: int) -> None:
        super().__init__()
        self.linear = Linear(channels, channels_out, bias=False)
        self.gate = Linear(condition_channels, channels_out)

    def forward(
        self, x: Float[Tensor, "*batch c"], condition: Float[Tensor, "*batch d"]
    ) -> Float[Tensor, "*batch o"]:
        """Map `x`; the condition enters as it is, without a norm."""
        update: Tensor = self.linear(x) * torch.sigmoid(self.gate(condition))
        return update


class ConditionedTransition(nn.Module):
    """SwiGLU with adaptive norm and output (Abramson et al. 2024, algorithm 25)."""

    def __init__(self, channels: int, condition_channels: int, *, factor: int) -> None:
        super().__init__()
        self.norm = AdaptiveLayerNorm(channels, condition_channels)
        self.up = Linear(channels, 2 * factor * channels, bias=False, init="relu")
        self.out = AdaptiveOutput(factor * channels, channels, condition_channels)

    def forward(
        self, x: Float[Tensor, "*batch c"], condition: Float[Tensor, "*batch d"]
    ) -> Float[Tensor, "*batch c"]:
        """Compute the update without residual."""
        gate, value = self.up(self.norm(x, condition)).chunk(2, dim=-1)
        update: Tensor = self.out(silu(gate) * value, condition)
        return update
