"""Blocks that update the pair representation, and with it the single one."""

from jaxtyping import Bool, Float
from torch import Tensor, nn

from foldwright.models.fold.network.attention import TokenAttention
from foldwright.models.fold.network.gated_transition import GatedTransition
from foldwright.models.fold.network.grid_attention import GridAttention
from foldwright.nn.linear import Linear
from foldwright.nn.triangle import TriangleMultiplication


class PairBlock(nn.Module):
    """Triangle updates and a transition (Abramson et al. 2024, algorithm 17, lines 1 to 6)."""

    def __init__(self, channels: int, *, num_heads: int, factor: int) -> None:
        super().__init__()
        self.outgoing = TriangleMultiplication(channels, channels, direction="outgoing")
        self.incoming = TriangleMultiplication(channels, channels, direction="incoming")
        self.rows = GridAttention(channels, num_heads=num_heads, columns=False)
        self.columns = GridAttention(channels, num_heads=num_heads, columns=True)
        self.transition = GatedTransition(channels, factor)

    def forward(
        self, pair: Float[Tensor, "n n c"], mask: Bool[Tensor, "n n"]
    ) -> Float[Tensor, "n n c"]:
        """Return the pair representation with all updates added."""
        for triangle in (self.outgoing, self.incoming):
            pair = pair + triangle(pair[None], mask[None])[0]
        for attention in (self.rows, self.columns):
            pair = pair + attention(pair, mask)
        updated: Tensor = pair + self.transition(pair)
        return updated


class PairformerBlock(nn.Module):
    """Pair updates, then attention and transition of the tokens (algorithm 17)."""

    def __init__(
        self, pair_channels: int, single_channels: int, *, pair_heads: int, single_heads: int
    ) -> None:
        super().__init__()
        self.pair = PairBlock(pair_channels, num_heads=pair_heads, factor=4)
        self.logits_norm = nn.LayerNorm(pair_channels)
        self.logits = Linear(pair_channels, single_heads, bias=False)
        self.attention = TokenAttention(
            single_channels,
            num_heads=single_heads,
            key_width=single_channels,
            value_width=single_channels,
        )
        self.transition = GatedTransition(single_channels, 4)

    def forward(
        self, pair: Float[Tensor, "n n c"], single: Float[Tensor, "n d"], mask: Bool[Tensor, " n"]
    ) -> tuple[Float[Tensor, "n n c"], Float[Tensor, "n d"]]:
        """Return both representations updated."""
        pair = self.pair(pair, mask[:, None] & mask[None])
        logits = self.logits(self.logits_norm(pair)).permute(2, 0, 1)
        single = single + self.attention(single, logits, mask)
        return pair, single + self.transition(single)
