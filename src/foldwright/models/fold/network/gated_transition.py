"""Position-wise feed-forward block with a gate."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import silu

from foldwright.models.fold.network.workspace import Workspace, position_blocks
from foldwright.nn.linear import Linear

_SHARE = 4
"""A transition is this much wider than the other updates, and its blocks as much shorter."""


class GatedTransition(nn.Module):
    """Layer norm, SwiGLU, contraction (Abramson et al. 2024, algorithm 11), without residual."""

    def __init__(self, channels: int, factor: int) -> None:
        super().__init__()
        self.layer_norm = nn.LayerNorm(channels)
        self.up = Linear(channels, 2 * factor * channels, bias=False, init="relu")
        self.down = Linear(factor * channels, channels, bias=False, init="final")

    def forward(self, x: Float[Tensor, "*batch c"]) -> Float[Tensor, "*batch c"]:
        """Compute the update."""
        update = torch.zeros_like(x)
        self.add_to(update, x, Workspace())
        return update

    def add_to(
        self, target: Float[Tensor, "*batch c"], x: Float[Tensor, "*batch c"], work: Workspace
    ) -> None:
        """Add the update of `x` to `target`, which may be `x`; both are contiguous."""
        flat, sums = x.view(-1, x.shape[-1]), target.view(-1, x.shape[-1])
        gate_weight, value_weight = self.up.weight.chunk(2)
        for part in position_blocks(flat, _SHARE):
            normed = self.layer_norm(flat[part])
            shape = (len(normed), len(gate_weight))
            gate = torch.mm(normed, gate_weight.t(), out=work.take("hidden gate", shape, x))
            value = torch.mm(normed, value_weight.t(), out=work.take("hidden", shape, x))
            sums[part].addmm_(silu(gate, inplace=True).mul_(value), self.down.weight.t())
