"""Axial attention: attention along the rows or the columns of the pair tensor, no third edge."""

from typing import Literal

from jaxtyping import Bool, Float
from torch import Tensor, nn

from foldwright.nn.triangle import GatedRowAttention


class AxialAttention(nn.Module):
    """Self-attention along one axis of the pair tensor (Ho et al. 2019, arXiv 1912.12180).

    Pair (i, j) attends to pairs (i, k) (`starting`) or (k, j) (`ending`): triangle attention
    without the bias of the third edge (j, k). It needs as much work as that, n^3, and is not an
    approximation of it. Returns the update without the residual.
    """

    def __init__(
        self, c_z: int, c_hidden: int, *, num_heads: int, node: Literal["starting", "ending"]
    ) -> None:
        super().__init__()
        self.node = node
        self.layer_norm = nn.LayerNorm(c_z)
        self.mha = GatedRowAttention(c_z, c_hidden, num_heads=num_heads)

    def forward(
        self, z: Float[Tensor, "b n n c"], mask: Bool[Tensor, "b n n"]
    ) -> Float[Tensor, "b n n c"]:
        """Compute the update of every pair."""
        if self.node == "ending":
            z, mask = z.transpose(1, 2), mask.transpose(1, 2)
        b, n, _, _ = z.shape
        no_bias = z.new_zeros(()).expand(b, self.mha.num_heads, n, n)
        update: Tensor = self.mha(self.layer_norm(z), no_bias, mask)
        return update.transpose(1, 2) if self.node == "ending" else update
