"""A block that looks at neighbouring places, each channel on its own, and then mixes channels."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from foldwright.nn.linear import Linear

_KERNEL = 3


class DepthwiseTransition(nn.Module):
    """Layer norm, a convolution of every channel with its own kernel of 3, ReLU, mix of channels.

    With one axis it works along the chain, with two on the grid of pairs. Applied to the left
    factors along i and to the right ones along j, the convolutions are the one of their product
    with the outer product of the two kernels. Places that are not real are zero on the way in and
    out. Returns the update without the residual.
    """

    def __init__(self, channels: int, *, axes: int) -> None:
        super().__init__()
        convolution = {1: nn.Conv1d, 2: nn.Conv2d}[axes]
        self.layer_norm = nn.LayerNorm(channels)
        self.depthwise = convolution(
            channels, channels, _KERNEL, padding=_KERNEL // 2, groups=channels
        )
        self.linear = Linear(channels, channels, init="final")

    def forward(
        self, x: Float[Tensor, "b *grid c"], mask: Bool[Tensor, "b *grid"]
    ) -> Float[Tensor, "b *grid c"]:
        """Compute the masked update."""
        real = mask[..., None]
        around = self.depthwise((self.layer_norm(x) * real).movedim(-1, 1)).movedim(1, -1)
        update: Tensor = self.linear(torch.relu(around))
        return update * real
