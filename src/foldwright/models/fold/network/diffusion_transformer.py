"""Transformer over tokens, conditioned on the trunk and on the noise level."""

from collections.abc import Iterable, Iterator

from jaxtyping import Bool, Float
from torch import Tensor, nn

from foldwright.models.fold.network.adaptive import ConditionedTransition
from foldwright.models.fold.network.attention import ConditionedAttention, hide_keys
from foldwright.nn.linear import Linear


class DiffusionTransformer(nn.Module):
    """Blocks of attention with pair bias and transition (Abramson et al. 2024, algorithm 23).

    Blocks come in groups that share one projection of the pair conditioning to their logits.
    """

    def __init__(
        self,
        channels: int,
        condition_channels: int,
        pair_channels: int,
        *,
        num_heads: int,
        num_super_blocks: int,
        super_block_size: int,
    ) -> None:
        super().__init__()
        self.logits_per_pair = num_super_blocks * super_block_size * num_heads
        self.pair_norm = nn.LayerNorm(pair_channels, bias=False)
        self.super_blocks = nn.ModuleList(
            SuperBlock(
                channels,
                condition_channels,
                pair_channels,
                num_heads=num_heads,
                size=super_block_size,
            )
            for _ in range(num_super_blocks)
        )

    def logits(
        self, pair: Float[Tensor, "n n p"], mask: Bool[Tensor, " n"]
    ) -> Iterator[Float[Tensor, "s h n n"]]:
        """Yield the logits of every group; they depend on the conditioning only."""
        normed = self.pair_norm(pair)
        for super_block in self.super_blocks:
            assert isinstance(super_block, SuperBlock)
            yield super_block.logits_of(normed, mask)

    def forward(
        self,
        x: Float[Tensor, "n c"],
        condition: Float[Tensor, "n d"],
        logits: Iterable[Float[Tensor, "s h n n"]],
    ) -> Float[Tensor, "n c"]:
        """Return the tokens after all blocks."""
        for super_block, group in zip(self.super_blocks, logits, strict=True):
            x = super_block(x, condition, group)
        return x


class SuperBlock(nn.Module):
    """A group of blocks with one projection of the pair conditioning to all their logits."""

    def __init__(
        self,
        channels: int,
        condition_channels: int,
        pair_channels: int,
        *,
        num_heads: int,
        size: int,
    ) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.pair_logits = Linear(pair_channels, size * num_heads, bias=False)
        self.blocks = nn.ModuleList(
            TokenBlock(channels, condition_channels, num_heads=num_heads) for _ in range(size)
        )

    def logits_of(
        self, normed: Float[Tensor, "n n p"], mask: Bool[Tensor, " n"]
    ) -> Float[Tensor, "s h n n"]:
        """Project normalised pair conditioning; padding keys are hidden."""
        logits = self.pair_logits(normed).permute(2, 0, 1)
        return hide_keys(logits.unflatten(0, (-1, self.num_heads)), mask)

    def forward(
        self,
        x: Float[Tensor, "n c"],
        condition: Float[Tensor, "n d"],
        logits: Float[Tensor, "s h n n"],
    ) -> Float[Tensor, "n c"]:
        """Return the tokens after the blocks of the group."""
        for block, own in zip(self.blocks, logits, strict=True):
            x = block(x, condition, own)
        return x


class TokenBlock(nn.Module):
    """Attention and transition of the tokens, both conditioned."""

    def __init__(self, channels: int, condition_channels: int, *, num_heads: int) -> None:
        super().__init__()
        self.attention = ConditionedAttention(channels, condition_channels, num_heads=num_heads)
        self.transition = ConditionedTransition(channels, condition_channels, factor=2)

    def forward(
        self,
        x: Float[Tensor, "n c"],
        condition: Float[Tensor, "n d"],
        logits: Float[Tensor, "h n n"],
    ) -> Float[Tensor, "n c"]:
        """Return the tokens updated."""
        x = x + self.attention(x, condition, logits)
        updated: Tensor = x + self.transition(x, condition)
        return updated
