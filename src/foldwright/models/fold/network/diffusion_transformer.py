"""Transformer over tokens, conditioned on the trunk and on the noise level."""

from collections.abc import Iterable, Iterator

from jaxtyping import Bool, Float
from torch import Tensor, nn

from foldwright.models.fold.network.adaptive import ConditionedTransition
from foldwright.models.fold.network.attention import ConditionedAttention, hide_keys
from foldwright.models.fold.network.grid_attention import pair_logits
from foldwright.models.fold.network.workspace import Workspace
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
        self, pair: Float[Tensor, "n n p"], mask: Bool[Tensor, " n"], work: Workspace
    ) -> Iterator[Float[Tensor, "s h n n"]]:
        """Yield the logits of every group; they depend on the conditioning only.

        Each is valid until the next is asked for.
        """
        for super_block in self.super_blocks:
            assert isinstance(super_block, SuperBlock)
            logits = pair_logits(self.pair_norm, super_block.pair_logits, pair, work)
            yield hide_keys(logits.unflatten(0, (-1, super_block.num_heads)), mask)

    def forward(
        self,
        x: Float[Tensor, "samples n c"],
        condition: Float[Tensor, "n d"],
        logits: Iterable[Float[Tensor, "s h n n"]],
    ) -> Float[Tensor, "samples n c"]:
        """Return the tokens of all samples after all blocks.

        Samples share condition and logits. Every product of matrices holds one sample only, so
        that its bits do not depend on the others.
        """
        x = x.clone()
        for super_block, group in zip(self.super_blocks, logits, strict=True):
            assert isinstance(super_block, SuperBlock)
            super_block.update(x, condition, group)
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

    def update(
        self,
        x: Float[Tensor, "samples n c"],
        condition: Float[Tensor, "n d"],
        logits: Float[Tensor, "s h n n"],
    ) -> None:
        """Update the tokens in place by all blocks of the group."""
        for block, own in zip(self.blocks, logits, strict=True):
            assert isinstance(block, TokenBlock)
            block.update(x, condition, own)


class TokenBlock(nn.Module):
    """Attention and transition of the tokens, both conditioned."""

    def __init__(self, channels: int, condition_channels: int, *, num_heads: int) -> None:
        super().__init__()
        self.attention = ConditionedAttention(channels, condition_channels, num_heads=num_heads)
        self.transition = ConditionedTransition(channels, condition_channels, factor=2)

    def update(
        self,
        x: Float[Tensor, "samples n c"],
        condition: Float[Tensor, "n d"],
        logits: Float[Tensor, "h n n"],
    ) -> None:
        """Update the tokens in place."""
        by = self.attention.modulation(condition)
        for sample in x:
            sample += self.attention(sample, by, logits)
        by = self.transition.modulation(condition)
        for sample in x:
            sample += self.transition(sample, by)
