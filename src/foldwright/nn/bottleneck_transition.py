"""A position-wise block that works in fewer channels."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from foldwright.nn.linear import Linear


class BottleneckTransition(nn.Module):
    """Layer norm, contraction to `channels // ratio`, one hidden map, expansion back.

    Where a transition expands, this contracts: with the ratio 4 it has 7 % of the parameters of an
    expansion by 4, and keeps half a tensor of its input's size for the backward pass instead of
    four. Returns the update without the residual, zero where the mask is False.
    """

    def __init__(self, channels: int, *, ratio: int = 4) -> None:
        super().__init__()
        width = max(1, channels // ratio)
        self.layer_norm = nn.LayerNorm(channels)
        self.linear_1 = Linear(channels, width, init="relu")
        self.linear_2 = Linear(width, width, init="relu")
        self.linear_3 = Linear(width, channels, init="final")

    def forward(
        self, x: Float[Tensor, "*batch c"], mask: Bool[Tensor, "*batch"] | None = None
    ) -> Float[Tensor, "*batch c"]:
        """Compute the update of every vector."""
        hidden = torch.relu(self.linear_1(self.layer_norm(x)))
        update: Tensor = self.linear_3(torch.relu(self.linear_2(hidden)))
        return update if mask is None else update * mask[..., None]
