"""Triangle multiplication and triangle attention on a dense pair representation."""

import math
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from foldwright.nn.chunked_triangle import TriangleWeights, chunked_triangle
from foldwright.nn.linear import Linear
from foldwright.nn.row_chunks import chunks_help

TriangleDirection = Literal["outgoing", "incoming"]


class TriangleMultiplication(nn.Module):
    """Gated sum over the third corner of every triangle (Jumper et al. 2021, algorithms 11, 12).

    Outgoing edges: sum_k a_ik b_jk; incoming: sum_k a_ki b_kj. Only edges between real residues
    enter the sum. `residual` is the form that is fast on a CPU.
    """

    def __init__(self, c_z: int, c_hidden: int, *, direction: TriangleDirection) -> None:
        super().__init__()
        self.direction = direction
        self.linear_a_p = Linear(c_z, c_hidden)
        self.linear_a_g = Linear(c_z, c_hidden, init="gating")
        self.linear_b_p = Linear(c_z, c_hidden)
        self.linear_b_g = Linear(c_z, c_hidden, init="gating")
        self.linear_g = Linear(c_z, c_z, init="gating")
        self.linear_z = Linear(c_hidden, c_z, init="final")
        self.layer_norm_in = nn.LayerNorm(c_z)
        self.layer_norm_out = nn.LayerNorm(c_hidden)

    def residual(
        self,
        z: Float[Tensor, "b n n c"],
        mask: Bool[Tensor, "b n n"],
        keep: Float[Tensor, "b #n #n c"] | None = None,
    ) -> Float[Tensor, "b n n c"]:
        """Add the update to every pair; `keep` is the mask of a dropout, with its scale."""
        if chunks_help(z):
            outgoing = self.direction == "outgoing"
            return chunked_triangle(z, mask, keep, self._weights(), outgoing=outgoing)
        update: Tensor = self(z, mask)
        return z + (update if keep is None else update * keep)

    def forward(
        self, z: Float[Tensor, "b n n c"], mask: Bool[Tensor, "b n n"]
    ) -> Float[Tensor, "b n n c"]:
        """Compute the update of every pair, without the residual."""
        z = self.layer_norm_in(z)
        real = mask[..., None]
        a = self.linear_a_p(z) * torch.sigmoid(self.linear_a_g(z)) * real
        b = self.linear_b_p(z) * torch.sigmoid(self.linear_b_g(z)) * real
        x = self._contract(a.permute(0, 3, 1, 2), b.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        gate = torch.sigmoid(self.linear_g(z))
        out: Tensor = self.linear_z(self.layer_norm_out(x)) * gate
        return out

    def _weights(self) -> TriangleWeights:
        """Parameters with all maps of the normed z in one matrix."""
        linears = (
            self.linear_a_p,
            self.linear_b_p,
            self.linear_a_g,
            self.linear_b_g,
            self.linear_g,
        )
        modules = (self.linear_z, self.layer_norm_in, self.layer_norm_out)
        return TriangleWeights(
            torch.cat([linear.weight for linear in linears]),
            torch.cat([linear.bias for linear in linears]),
            *(part for module in modules for part in (module.weight, module.bias)),
        )

    def _contract(self, a: Tensor, b: Tensor) -> Tensor:
        if self.direction == "outgoing":
            return a @ b.transpose(-1, -2)
        return a.transpose(-1, -2) @ b


class TriangleAttention(nn.Module):
    """Self-attention along the rows of the pair tensor, biased by the third edge.

    `starting` attends from pair (i, j) to pairs (i, k) (Jumper et al. 2021, algorithm 13), `ending`
    to (k, j) (algorithm 14) by transposing in and out. `c_hidden` is the width of one head. Returns
    the update without the residual.
    """

    def __init__(
        self, c_z: int, c_hidden: int, *, num_heads: int, node: Literal["starting", "ending"]
    ) -> None:
        super().__init__()
        self.node = node
        self.layer_norm = nn.LayerNorm(c_z)
        self.linear = Linear(c_z, num_heads, bias=False)
        self.mha = GatedRowAttention(c_z, c_hidden, num_heads=num_heads)

    def forward(
        self, z: Float[Tensor, "b n n c"], mask: Bool[Tensor, "b n n"]
    ) -> Float[Tensor, "b n n c"]:
        """Compute the update of every pair."""
        if self.node == "ending":
            z, mask = z.transpose(1, 2), mask.transpose(1, 2)
        z = self.layer_norm(z)
        bias = self.linear(z).permute(0, 3, 1, 2)
        update: Tensor = self.mha(z, bias, mask)
        return update.transpose(1, 2) if self.node == "ending" else update


class GatedRowAttention(nn.Module):
    """Multi-head attention within each row, with a bias shared by all rows and gated output."""

    def __init__(self, c_z: int, c_hidden: int, *, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        width = num_heads * c_hidden
        self.linear_q = Linear(c_z, width, bias=False, init="glorot")
        self.linear_k = Linear(c_z, width, bias=False, init="glorot")
        self.linear_v = Linear(c_z, width, bias=False, init="glorot")
        self.linear_g = Linear(c_z, width, init="gating")
        self.linear_o = Linear(width, c_z, init="final")

    def forward(
        self,
        z: Float[Tensor, "b n n c"],
        bias: Float[Tensor, "b h n n"],
        mask: Bool[Tensor, "b n n"],
    ) -> Float[Tensor, "b n n c"]:
        """Attend within rows; `mask[b, i, k]` says whether row i may look at column k."""
        query, key, value = (
            self._heads(linear(z)) for linear in (self.linear_q, self.linear_k, self.linear_v)
        )
        logits = (query / math.sqrt(query.shape[-1])) @ key.transpose(-1, -2) + bias[:, None]
        real = mask[:, :, None, None, :]
        weights = torch.softmax(logits.masked_fill(~real, torch.finfo(logits.dtype).min), dim=-1)
        attended = ((weights * real) @ value).transpose(2, 3).flatten(-2)
        update: Tensor = self.linear_o(attended * torch.sigmoid(self.linear_g(z)))
        return update

    def _heads(self, projected: Tensor) -> Tensor:
        b, n, m, _ = projected.shape
        return projected.view(b, n, m, self.num_heads, -1).transpose(2, 3)
