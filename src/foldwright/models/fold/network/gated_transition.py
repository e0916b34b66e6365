"""Position-wise feed-forward block with a gate."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import silu

from foldwright.nn.linear import Linear

_POSITIONS_PER_CHUNK = 4096


class GatedTransition(nn.Module):
    """Layer norm, SwiGLU, contraction (Abramson et al. 2024, algorithm 11), without residual."""

    def __init__(self, channels: int, factor: int) -> None:
        super().__init__()
        self.layer_norm = nn.LayerNorm(channels)
        self.up = Linear(channels, 2 * factor * channels, bias=False, init="relu")
        self.down = Linear(factor * channels, channels, bias=False, init="final")

    def forward(
        self, x: Float[Tensor, "*batch c"], *, chunk: int = _POSITIONS_PER_CHUNK
    ) -> Float[Tensor, "*batch c"]:
        """Compute the update, `chunk` positions at a time so that no wide tensor is kept."""
        flat = x.reshape(-1, x.shape[-1])
        update = torch.empty_like(flat)
        for start in range(0, len(flat), chunk):
            part = slice(start, start + chunk)
            gate, value = self.up(self.layer_norm(flat[part])).chunk(2, dim=-1)
            update[part] = self.down(silu(gate) * value)
        return update.view(x.shape)
