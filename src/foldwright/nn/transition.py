"""Position-wise feed-forward blocks."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from foldwright.nn.chunked_transition import TransitionWeights, chunked_transition
from foldwright.nn.linear import Linear
from foldwright.nn.row_chunks import chunks_help


class PairTransition(nn.Module):
    """Layer norm, expansion, ReLU, contraction on every pair (Jumper et al. 2021, algorithm 15).

    `residual` is the form that is fast on a CPU.
    """

    def __init__(self, c_z: int, expansion: int) -> None:
        super().__init__()
        self.layer_norm = nn.LayerNorm(c_z)
        self.linear_1 = Linear(c_z, expansion * c_z, init="relu")
        self.linear_2 = Linear(expansion * c_z, c_z, init="final")

    def residual(
        self, z: Float[Tensor, "b n n c"], mask: Bool[Tensor, "b n n"]
    ) -> Float[Tensor, "b n n c"]:
        """Add the update to every pair; padding pairs become zero."""
        if chunks_help(z):
            modules = (self.layer_norm, self.linear_1, self.linear_2)
            parts = (part for module in modules for part in (module.weight, module.bias))
            return chunked_transition(z, mask, TransitionWeights(*parts))
        return (z + self(z, mask)) * mask[..., None]

    def forward(
        self, z: Float[Tensor, "b n n c"], mask: Bool[Tensor, "b n n"]
    ) -> Float[Tensor, "b n n c"]:
        """Compute the update of every pair, without the residual; padding pairs get zero."""
        hidden = torch.relu(self.linear_1(self.layer_norm(z)))
        update: Tensor = self.linear_2(hidden)
        return update * mask[..., None]


class StructureTransition(nn.Module):
    """Residual three-layer ReLU blocks, dropout, layer norm (Jumper et al. 2021, algorithm 20)."""

    def __init__(self, channels: int, *, num_layers: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.ModuleList(_TransitionLayer(channels) for _ in range(num_layers))
        self.dropout = nn.Dropout(dropout)
        self.layer_norm = nn.LayerNorm(channels)

    def forward(self, s: Float[Tensor, "b n c"]) -> Float[Tensor, "b n c"]:
        """Return the transformed single representation, residual included."""
        for layer in self.layers:
            s = layer(s)
        out: Tensor = self.layer_norm(self.dropout(s))
        return out


class _TransitionLayer(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.linear_1 = Linear(channels, channels, init="relu")
        self.linear_2 = Linear(channels, channels, init="relu")
        self.linear_3 = Linear(channels, channels, init="final")

    def forward(self, s: Tensor) -> Tensor:
        hidden = torch.relu(self.linear_2(torch.relu(self.linear_1(s))))
        update: Tensor = self.linear_3(hidden)
        return s + update
