"""Attention over tokens and within windows of atoms, plain or conditioned."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from foldwright.models.fold.network.adaptive import AdaptiveLayerNorm, AdaptiveOutput
from foldwright.nn.linear import Linear

HIDDEN = 1e9
"""What a hidden key's logit is lowered by."""


class GatedHeads(nn.Module):
    """Queries, keys, values and the output gate of one attention, without norms and output."""

    def __init__(self, channels: int, *, num_heads: int, key_width: int, value_width: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.query = Linear(channels, key_width)
        self.key = Linear(channels, key_width, bias=False)
        self.value = Linear(channels, value_width, bias=False)
        self.gate = Linear(channels, value_width, bias=False)

    def forward(
        self,
        x_query: Float[Tensor, "*w q c"],
        x_key: Float[Tensor, "*w k c"],
        logits: Float[Tensor, "*w h q k"],
    ) -> Float[Tensor, "*w q v"]:
        """Attend with `logits` added to the scaled products."""
        query = self._heads(self.query(x_query))
        key, value = self._heads(self.key(x_key)), self._heads(self.value(x_key))
        attended = scaled_dot_product_attention(query, key, value, attn_mask=logits)
        gated: Tensor = attended.transpose(-2, -3).flatten(-2) * torch.sigmoid(self.gate(x_query))
        return gated

    def _heads(self, projected: Tensor) -> Tensor:
        return projected.unflatten(-1, (self.num_heads, -1)).transpose(-2, -3)


class TokenAttention(nn.Module):
    """Single attention with pair bias (Abramson et al. 2024, algorithm 24 without conditioning)."""

    def __init__(self, channels: int, *, num_heads: int, key_width: int, value_width: int) -> None:
        super().__init__()
        self.layer_norm = nn.LayerNorm(channels)
        self.heads = GatedHeads(
            channels, num_heads=num_heads, key_width=key_width, value_width=value_width
        )
        self.out = Linear(value_width, channels, bias=False, init="final")

    def forward(
        self,
        x: Float[Tensor, "n c"],
        pair_logits: Float[Tensor, "h n n"],
        mask: Bool[Tensor, " n"],
    ) -> Float[Tensor, "n c"]:
        """Compute the update without residual."""
        x = self.layer_norm(x)
        update: Tensor = self.out(self.heads(x, x, hide_keys(pair_logits, mask)))
        return update


class ConditionedAttention(nn.Module):
    """The same with adaptive norm and output (Abramson et al. 2024, algorithm 24)."""

    def __init__(self, channels: int, condition_channels: int, *, num_heads: int) -> None:
        super().__init__()
        self.norm = AdaptiveLayerNorm(channels, condition_channels)
        self.heads = GatedHeads(
            channels, num_heads=num_heads, key_width=channels, value_width=channels
        )
        self.out = AdaptiveOutput(channels, channels, condition_channels)

    def forward(
        self,
        x: Float[Tensor, "n c"],
        condition: Float[Tensor, "n d"],
        logits: Float[Tensor, "h n n"],
    ) -> Float[Tensor, "n c"]:
        """Compute the update without residual; hidden keys are lowered in `logits` already."""
        x = self.norm(x, condition)
        update: Tensor = self.out(self.heads(x, x, logits), condition)
        return update


class WindowAttention(nn.Module):
    """Attention of 32 query atoms to 128 key atoms in every window (algorithm 24, windowed)."""

    def __init__(
        self,
        channels: int,
        condition_channels: int,
        *,
        num_heads: int,
        key_width: int,
        value_width: int,
    ) -> None:
        super().__init__()
        self.query_norm = AdaptiveLayerNorm(channels, condition_channels)
        self.key_norm = AdaptiveLayerNorm(channels, condition_channels)
        self.heads = GatedHeads(
            channels, num_heads=num_heads, key_width=key_width, value_width=value_width
        )
        self.out = AdaptiveOutput(value_width, channels, condition_channels)

    def forward(
        self,
        x_query: Float[Tensor, "w q c"],
        x_key: Float[Tensor, "w k c"],
        condition_query: Float[Tensor, "w q d"],
        condition_key: Float[Tensor, "w k d"],
        logits: Float[Tensor, "w h q k"],
    ) -> Float[Tensor, "w q c"]:
        """Compute the update of the queries without residual; `logits` hold pair and mask terms."""
        query = self.query_norm(x_query, condition_query)
        key = self.key_norm(x_key, condition_key)
        update: Tensor = self.out(self.heads(query, key, logits), condition_query)
        return update


def hide_keys(logits: Float[Tensor, "*b n n"], mask: Bool[Tensor, " n"]) -> Float[Tensor, "*b n n"]:
    """Lower the logits of keys that are padding."""
    return logits + HIDDEN * (mask.to(logits.dtype) - 1)


def window_logits(
    pair_logits: Float[Tensor, "*b w h q k"],
    query_mask: Bool[Tensor, "w q"],
    key_mask: Bool[Tensor, "w k"],
) -> Float[Tensor, "*b w h q k"]:
    """Add the original's mask term: it raises pairs of two empty atoms and hides no key.

    Real queries therefore see empty keys too; the published parameters were trained with that.
    """
    empty = ~query_mask[:, :, None] & ~key_mask[:, None, :]
    return pair_logits + HIDDEN * empty[:, None].to(pair_logits.dtype)
