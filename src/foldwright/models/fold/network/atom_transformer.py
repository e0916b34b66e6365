"""Transformer over atoms in windows of 32 queries and 128 keys."""

from dataclasses import dataclass

from jaxtyping import Bool, Float
from torch import Tensor, nn

from foldwright.models.fold.inputs import AtomLayout
from foldwright.models.fold.network.adaptive import ConditionedTransition
from foldwright.models.fold.network.attention import WindowAttention, window_logits
from foldwright.nn.linear import Linear


@dataclass(frozen=True)
class AtomContext:
    """What conditions the atoms: per query, per key, and per pair in a window."""

    layout: AtomLayout
    queries: Float[Tensor, "w q c"]
    keys: Float[Tensor, "w k c"]
    pair: Float[Tensor, "w q k p"]
    query_mask: Bool[Tensor, "w q"]
    key_mask: Bool[Tensor, "w k"]


class AtomTransformer(nn.Module):
    """Blocks of windowed attention and transition (Abramson et al. 2024, algorithm 7)."""

    def __init__(
        self, channels: int, pair_channels: int, *, num_heads: int, width: int, num_blocks: int
    ) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.pair_norm = nn.LayerNorm(pair_channels, bias=False)
        self.pair_logits = Linear(pair_channels, num_blocks * num_heads, bias=False)
        self.blocks = nn.ModuleList(
            AtomBlock(channels, num_heads=num_heads, width=width) for _ in range(num_blocks)
        )

    def logits(self, context: AtomContext) -> Float[Tensor, "b w h q k"]:
        """Compute the logits of all blocks; they depend on the conditioning only."""
        projected = self.pair_logits(self.pair_norm(context.pair))
        blocks = projected.unflatten(-1, (-1, self.num_heads)).permute(3, 0, 4, 1, 2)
        return window_logits(blocks, context.query_mask, context.key_mask)

    def forward(
        self,
        x: Float[Tensor, "w q c"],
        context: AtomContext,
        logits: Float[Tensor, "b w h q k"],
    ) -> Float[Tensor, "w q c"]:
        """Return the query atoms after all blocks; keys are gathered anew in each."""
        for block, own in zip(self.blocks, logits, strict=True):
            x = block(x, context, own)
        return x


class AtomBlock(nn.Module):
    """Attention and transition of the atoms in their windows, both conditioned."""

    def __init__(self, channels: int, *, num_heads: int, width: int) -> None:
        super().__init__()
        self.attention = WindowAttention(
            channels, channels, num_heads=num_heads, key_width=width, value_width=width
        )
        self.transition = ConditionedTransition(channels, channels, factor=2)

    def forward(
        self, x: Float[Tensor, "w q c"], context: AtomContext, logits: Float[Tensor, "w h q k"]
    ) -> Float[Tensor, "w q c"]:
        """Return the query atoms updated."""
        keys = context.layout.queries_to_keys.take(x, dims=2)
        x = x + self.attention(x, keys, context.queries, context.keys, logits)
        updated: Tensor = x + self.transition(x, context.queries)
        return updated
