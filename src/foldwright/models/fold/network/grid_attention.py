"""Attention along the rows or the columns of the pair representation."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from foldwright.models.fold.network.workspace import Workspace, row_blocks
from foldwright.nn.linear import Linear


class GridAttention(nn.Module):
    """Gated triangle attention (Abramson et al. 2024, algorithms 14 and 15), without residual.

    Differs from `nn.TriangleAttention` in what parameters were trained with: gates have no bias,
    rows without a partner average uniformly, heads are at least 16 wide unless `head_width` says
    otherwise, and where columns attend, the pair bias is not turned with them unless
    `turned_bias` (Jumper et al. 2021, algorithm 14) is set.
    """

    def __init__(
        self,
        channels: int,
        *,
        num_heads: int,
        columns: bool,
        head_width: int | None = None,
        turned_bias: bool = False,
    ) -> None:
        super().__init__()
        width = num_heads * (head_width or max(channels // num_heads, 16))
        self.num_heads = num_heads
        self.columns = columns
        self.turned_bias = columns and turned_bias
        self.layer_norm = nn.LayerNorm(channels)
        self.pair_bias = Linear(channels, num_heads, bias=False)
        self.query = Linear(channels, width, bias=False, init="glorot")
        self.key = Linear(channels, width, bias=False, init="glorot")
        self.value = Linear(channels, width, bias=False, init="glorot")
        self.gate = Linear(channels, width, bias=False)
        self.out = Linear(width, channels, bias=False, init="final")

    def forward(
        self, pair: Float[Tensor, "n n c"], mask: Bool[Tensor, "n n"]
    ) -> Float[Tensor, "n n c"]:
        """Compute the update; row r may look at key k where `mask[k, r]`, in both directions."""
        update = torch.zeros_like(pair)
        self.add_to(update, pair, mask, Workspace())
        return update

    def add_to(
        self,
        target: Float[Tensor, "n n c"],
        pair: Float[Tensor, "n n c"],
        mask: Bool[Tensor, "n n"],
        work: Workspace,
    ) -> None:
        """Add the update of `pair` to `target`, which may be `pair`, one block of rows at a time.

        Only the logits' bias of all pairs is held; logits of queries and keys never are.
        """
        n, _, c = pair.shape
        normed = work.take("product", (n, n, c), pair)  # the triangles' product is used up
        bias = work.take("pair logits", (self.num_heads, n, n), pair)
        unturned = bias.transpose(1, 2) if self.turned_bias else bias
        for rows in row_blocks(pair):
            normed[rows] = self.layer_norm(pair[rows])
            unturned[:, rows] = heads_first(self.pair_bias, normed[rows], work)
        weight = torch.cat([part.weight for part in (self.query, self.key, self.value)])
        hidden = None if bool(mask.all()) else ~mask.transpose(0, 1)
        x, sums = (t.transpose(0, 1) if self.columns else t for t in (normed, target))
        for rows in row_blocks(pair):
            flat = x[rows].reshape(-1, c)
            shape = (len(flat), len(weight))
            projected = torch.mm(flat, weight.t(), out=work.take("projected", shape, pair))
            logits = bias[None]
            if hidden is not None:
                blocked = hidden[rows, None, None]
                logits = logits.masked_fill(blocked, torch.finfo(bias.dtype).min)
            attended = self._attend(projected, logits)
            gate = work.take("gate", tuple(attended.shape), pair)
            torch.mm(flat, self.gate.weight.t(), out=gate)
            attended.mul_(gate.sigmoid_())
            if self.columns:
                update = work.take("value", (len(flat), c), pair)
                torch.mm(attended, self.out.weight.t(), out=update)
                sums[rows].add_(update.view(-1, n, c))
            else:
                sums[rows].view(-1, c).addmm_(attended, self.out.weight.t())

    def _attend(self, projected: Tensor, logits: Tensor) -> Tensor:
        """Average of every row: projections (r*n, 3*h*d) to (r*n, h*d)."""
        n, width = logits.shape[-1], self.gate.out_features
        parts = projected.view(-1, n, 3, self.num_heads, width // self.num_heads)
        query, key, value = (parts[:, :, i].transpose(1, 2) for i in range(3))
        attended = scaled_dot_product_attention(query, key, value, attn_mask=logits)
        return attended.transpose(1, 2).reshape(-1, width)


def pair_logits(
    norm: nn.LayerNorm, linear: Linear, pair: Float[Tensor, "n n c"], work: Workspace
) -> Float[Tensor, "h n n"]:
    """Project normalised pairs to one logit per head, heads first.

    The result is valid until the next call with the same workspace.
    """
    n = len(pair)
    logits = work.take("pair logits", (linear.out_features, n, n), pair)
    for rows in row_blocks(pair):
        logits[:, rows] = heads_first(linear, norm(pair[rows]), work)
    return logits


def heads_first(
    linear: Linear, rows: Float[Tensor, "r n c"], work: Workspace
) -> Float[Tensor, "h r n"]:
    """Project some rows of pairs to one value per head, heads first."""
    flat = rows.view(-1, rows.shape[-1])
    shape = (linear.out_features, len(flat))
    part = torch.mm(linear.weight, flat.t(), out=work.take("logits part", shape, rows))
    return part.view(-1, *rows.shape[:2])
