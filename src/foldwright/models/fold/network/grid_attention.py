"""Attention along the rows or the columns of the pair representation."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from foldwright.nn.linear import Linear

_LOGITS_PER_CHUNK = 1 << 22


class GridAttention(nn.Module):
    """Gated triangle attention (Abramson et al. 2024, algorithms 14 and 15), without residual.

    Differs from `nn.TriangleAttention` in what parameters were trained with: the pair bias is
    taken before the columns are turned into rows and is not turned, gates have no bias, heads are
    at least 16 wide, and rows without a partner average uniformly.
    """

    def __init__(self, channels: int, *, num_heads: int, columns: bool) -> None:
        super().__init__()
        width = num_heads * max(channels // num_heads, 16)
        self.num_heads = num_heads
        self.columns = columns
        self.layer_norm = nn.LayerNorm(channels)
        self.pair_bias = Linear(channels, num_heads, bias=False)
        self.query = Linear(channels, width, bias=False, init="glorot")
        self.key = Linear(channels, width, bias=False, init="glorot")
        self.value = Linear(channels, width, bias=False, init="glorot")
        self.gate = Linear(channels, width, bias=False)
        self.out = Linear(width, channels, bias=False, init="final")

    def forward(
        self,
        pair: Float[Tensor, "n n c"],
        mask: Bool[Tensor, "n n"],
        *,
        logits_per_chunk: int = _LOGITS_PER_CHUNK,
    ) -> Float[Tensor, "n n c"]:
        """Compute the update; row r may look at key k where `mask[k, r]`, in both directions.

        Rows are attended in chunks with at most `logits_per_chunk` logits, at least one row.
        """
        x = self.layer_norm(pair)
        bias = self.pair_bias(x).permute(2, 0, 1).contiguous()
        x = x.transpose(0, 1) if self.columns else x
        n = len(x)
        update = torch.empty_like(pair)
        target = update.transpose(0, 1) if self.columns else update
        hidden = None if bool(mask.all()) else ~mask.transpose(0, 1)
        step = max(1, logits_per_chunk // (self.num_heads * n * n))
        for start in range(0, n, step):
            rows = slice(start, start + step)
            target[rows] = self._attend(x[rows], bias, None if hidden is None else hidden[rows])
        return update

    def _attend(self, x: Tensor, bias: Tensor, hidden: Tensor | None) -> Tensor:
        heads = (*x.shape[:2], self.num_heads, -1)
        query, key, value = (
            linear(x).view(heads).transpose(1, 2) for linear in (self.query, self.key, self.value)
        )
        logits = bias[None]
        if hidden is not None:
            logits = logits.masked_fill(hidden[:, None, None], torch.finfo(bias.dtype).min)
        attended = scaled_dot_product_attention(query, key, value, attn_mask=logits)
        gated = attended.transpose(1, 2).flatten(-2) * torch.sigmoid(self.gate(x))
        update: Tensor = self.out(gated)
        return update
