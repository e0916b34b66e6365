"""Transformer over atoms in windows of 32 queries and 128 keys."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from jaxtyping import Bool, Float
from torch import Tensor, nn

from foldwright.models.fold.inputs import AtomLayout
from foldwright.models.fold.network.adaptive import ConditionedTransition, Modulation
from foldwright.models.fold.network.attention import (
    WindowAttention,
    WindowModulation,
)
from foldwright.nn.linear import Linear

WindowMask = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Adds to the logits of windows what hides keys: of logits, query mask and key mask."""


@dataclass(frozen=True)
class AtomContext:
    """What conditions the atoms: per query, and per pair in a window."""

    layout: AtomLayout
    queries: Float[Tensor, "w q c"]
    pair: Float[Tensor, "w q k p"]
    query_mask: Bool[Tensor, "w q"]
    key_mask: Bool[Tensor, "w k"]


@dataclass(frozen=True)
class PreparedBlock:
    """What one block makes of the context: logits, and the conditioning of both its parts."""

    logits: Float[Tensor, "w h q k"]
    attention: WindowModulation
    transition: Modulation


class AtomTransformer(nn.Module):
    """Blocks of windowed attention and transition (Abramson et al. 2024, algorithm 7)."""

    def __init__(
        self,
        channels: int,
        pair_channels: int,
        *,
        num_heads: int,
        width: int,
        num_blocks: int,
        mask: WindowMask,
        chained_norms: bool = False,
    ) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.mask = mask
        self.pair_norm = nn.LayerNorm(pair_channels, bias=False)
        self.pair_logits = Linear(pair_channels, num_blocks * num_heads, bias=False)
        self.blocks = nn.ModuleList(
            AtomBlock(channels, num_heads=num_heads, width=width, chained_norms=chained_norms)
            for _ in range(num_blocks)
        )

    def prepare(self, context: AtomContext) -> tuple[PreparedBlock, ...]:
        """Compute what all blocks need of the context; it is the same at every noise level."""
        projected = self.pair_logits(self.pair_norm(context.pair))
        blocks = projected.unflatten(-1, (-1, self.num_heads)).permute(3, 0, 4, 1, 2).contiguous()
        logits = self.mask(blocks, context.query_mask, context.key_mask)
        prepared = []
        for block, own in zip(self.blocks, logits, strict=True):
            assert isinstance(block, AtomBlock)
            prepared.append(
                PreparedBlock(
                    own,
                    block.attention.modulation(context.queries, context.queries),
                    block.transition.modulation(context.queries),
                )
            )
        return tuple(prepared)

    def forward(
        self,
        x: Float[Tensor, "w q c"],
        layout: AtomLayout,
        prepared: tuple[PreparedBlock, ...],
    ) -> Float[Tensor, "w q c"]:
        """Return the query atoms after all blocks; keys are gathered anew in each."""
        for block, own in zip(self.blocks, prepared, strict=True):
            x = block(x, layout, own)
        return x


class AtomBlock(nn.Module):
    """Attention and transition of the atoms in their windows, both conditioned."""

    def __init__(
        self, channels: int, *, num_heads: int, width: int, chained_norms: bool = False
    ) -> None:
        super().__init__()
        self.attention = WindowAttention(
            channels,
            channels,
            num_heads=num_heads,
            key_width=width,
            value_width=width,
            chained_norms=chained_norms,
        )
        self.transition = ConditionedTransition(channels, channels, factor=2)

    def forward(
        self, x: Float[Tensor, "w q c"], layout: AtomLayout, by: PreparedBlock
    ) -> Float[Tensor, "w q c"]:
        """Return the query atoms updated."""
        to_windows = partial(layout.queries_to_keys.take, dims=2)
        x = x + self.attention(x, x, by.attention, by.logits, to_windows)
        x += self.transition(x, by.transition)
        return x
