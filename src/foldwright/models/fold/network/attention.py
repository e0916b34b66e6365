"""Attention over tokens and within windows of atoms, plain or conditioned."""

from collections.abc import Callable
from typing import NamedTuple

from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from foldwright.models.fold.network.adaptive import AdaptiveLayerNorm, AdaptiveOutput, Modulation
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
        x: Float[Tensor, "*w q c"],
        key: Float[Tensor, "*w k d"],
        value: Float[Tensor, "*w k v"],
        logits: Float[Tensor, "*w h q k"],
    ) -> Float[Tensor, "*w q v"]:
        """Attend from `x` to projected keys, with `logits` added to the scaled products."""
        heads = [
            part.unflatten(-1, (self.num_heads, -1)).transpose(-2, -3)
            for part in (self.query(x), key, value)
        ]
        # Four axes in every case: only then torch takes the path without a tensor of weights.
        query, keys, values, bias = (t if t.ndim == 4 else t[None] for t in (*heads, logits))
        attended = scaled_dot_product_attention(query, keys, values, attn_mask=bias)
        gate: Tensor = self.gate(x).sigmoid_()
        return gate.mul_(attended.transpose(-2, -3).reshape(gate.shape))


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
        self, x: Float[Tensor, "n c"], logits: Float[Tensor, "h n n"]
    ) -> Float[Tensor, "n c"]:
        """Compute the update without residual; hidden keys are lowered in `logits` already."""
        x = self.layer_norm(x)
        update: Tensor = self.out(self.heads(x, self.heads.key(x), self.heads.value(x), logits))
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

    def modulation(self, condition: Float[Tensor, "n d"]) -> Modulation:
        """Return what `forward` needs of the condition."""
        return Modulation(*self.norm.modulation(condition), self.out.opening(condition))

    def forward(
        self, x: Float[Tensor, "n c"], by: Modulation, logits: Float[Tensor, "h n n"]
    ) -> Float[Tensor, "n c"]:
        """Compute the update without residual; hidden keys are lowered in `logits` already."""
        x = self.norm(x, by.scale, by.shift)
        attended = self.heads(x, self.heads.key(x), self.heads.value(x), logits)
        update: Tensor = self.out(attended, by.gate)
        return update


class WindowModulation(NamedTuple):
    """What the conditioning of the atoms makes of one window attention."""

    query: Modulation
    key_scale: Float[Tensor, "*w c"]
    key_shift: Float[Tensor, "*w c"]


class WindowAttention(nn.Module):
    """Attention of 32 query atoms to 128 key atoms in every window (algorithm 24, windowed).

    With `chained_norms` keys are made of the normalised queries, which are the same atoms then.
    """

    def __init__(
        self,
        channels: int,
        condition_channels: int,
        *,
        num_heads: int,
        key_width: int,
        value_width: int,
        chained_norms: bool = False,
    ) -> None:
        super().__init__()
        self.chained_norms = chained_norms
        self.query_norm = AdaptiveLayerNorm(channels, condition_channels)
        self.key_norm = AdaptiveLayerNorm(channels, condition_channels)
        self.heads = GatedHeads(
            channels, num_heads=num_heads, key_width=key_width, value_width=value_width
        )
        self.out = AdaptiveOutput(value_width, channels, condition_channels)

    def modulation(
        self, query: Float[Tensor, "*w d"], key: Float[Tensor, "*l d"]
    ) -> WindowModulation:
        """Return what `forward` needs of the conditions of queries and keys."""
        by_query = Modulation(*self.query_norm.modulation(query), self.out.opening(query))
        return WindowModulation(by_query, *self.key_norm.modulation(key))

    def forward(
        self,
        x: Float[Tensor, "w q c"],
        x_key: Float[Tensor, "*l c"],
        by: WindowModulation,
        logits: Float[Tensor, "w h q k"],
        to_windows: Callable[[Tensor], Tensor],
    ) -> Float[Tensor, "w q c"]:
        """Compute the update of the queries without residual.

        Args:
            x: the queries.
            x_key: the atoms that keys are made of. An atom is a key in several windows; it is
                normalised and projected once and `to_windows` brings it there.
            by: the conditioning.
            logits: pair and mask terms.
            to_windows: keys or values of the atoms in the layout of `x_key` to (w, k, channels).
        """
        query = self.query_norm(x, by.query.scale, by.query.shift)
        key = self.key_norm(query if self.chained_norms else x_key, by.key_scale, by.key_shift)
        keys, values = (to_windows(part(key)) for part in (self.heads.key, self.heads.value))
        update: Tensor = self.out(self.heads(query, keys, values, logits), by.query.gate)
        return update


def hide_keys(logits: Float[Tensor, "*b n n"], mask: Bool[Tensor, " n"]) -> Float[Tensor, "*b n n"]:
    """Lower the logits of keys that are padding."""
    return logits if bool(mask.all()) else logits + HIDDEN * (mask.to(logits.dtype) - 1)


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


def hide_empty_keys(
    pair_logits: Float[Tensor, "*b w h q k"],
    query_mask: Bool[Tensor, "w q"],
    key_mask: Bool[Tensor, "w k"],
) -> Float[Tensor, "*b w h q k"]:
    """Lower the logits of keys without an atom; what an empty query sees is never read."""
    if bool(key_mask.all()):
        return pair_logits
    return pair_logits + HIDDEN * (key_mask[:, None, None].to(pair_logits.dtype) - 1)
