"""Blocks that update the pair representation, and with it the single one."""

from jaxtyping import Bool, Float
from torch import Tensor, nn

from foldwright.models.fold.network.attention import TokenAttention, hide_keys
from foldwright.models.fold.network.gated_transition import GatedTransition
from foldwright.models.fold.network.grid_attention import GridAttention, pair_logits
from foldwright.models.fold.network.triangle_update import (
    add_triangle_update,
    triangle_without_bias,
)
from foldwright.models.fold.network.workspace import Workspace
from foldwright.nn.linear import Linear


class PairBlock(nn.Module):
    """Triangle updates and a transition (Abramson et al. 2024, algorithm 17, lines 1 to 6)."""

    def __init__(
        self,
        channels: int,
        *,
        num_heads: int,
        factor: int,
        head_width: int | None = None,
        triangle_channels: int | None = None,
        turned_bias: bool = False,
    ) -> None:
        super().__init__()
        hidden = triangle_channels or channels
        self.outgoing = triangle_without_bias(channels, hidden, "outgoing")
        self.incoming = triangle_without_bias(channels, hidden, "incoming")
        self.rows = GridAttention(
            channels, num_heads=num_heads, columns=False, head_width=head_width
        )
        self.columns = GridAttention(
            channels,
            num_heads=num_heads,
            columns=True,
            head_width=head_width,
            turned_bias=turned_bias,
        )
        self.transition = GatedTransition(channels, factor)

    def forward(
        self, pair: Float[Tensor, "n n c"], mask: Bool[Tensor, "n n"]
    ) -> Float[Tensor, "n n c"]:
        """Return the pair representation with all updates added."""
        updated = pair.clone()
        self.update(updated, mask, Workspace())
        return updated

    def update(
        self, pair: Float[Tensor, "n n c"], mask: Bool[Tensor, "n n"], work: Workspace
    ) -> None:
        """Add all updates to `pair` in place."""
        for triangle in (self.outgoing, self.incoming):
            add_triangle_update(pair, mask, triangle, work)
        for attention in (self.rows, self.columns):
            attention.add_to(pair, pair, mask, work)
        self.transition.add_to(pair, pair, work)


class PairformerBlock(nn.Module):
    """Pair updates, then attention and transition of the tokens (algorithm 17)."""

    def __init__(
        self,
        pair_channels: int,
        single_channels: int,
        *,
        pair_heads: int,
        single_heads: int,
        turned_bias: bool = False,
    ) -> None:
        super().__init__()
        self.pair = PairBlock(
            pair_channels, num_heads=pair_heads, factor=4, turned_bias=turned_bias
        )
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
        pair, single = pair.clone(), single.clone()
        self.update(pair, single, mask, Workspace())
        return pair, single

    def update(
        self,
        pair: Float[Tensor, "n n c"],
        single: Float[Tensor, "n d"],
        mask: Bool[Tensor, " n"],
        work: Workspace,
    ) -> None:
        """Add all updates to both representations in place."""
        self.pair.update(pair, mask[:, None] & mask[None], work)
        logits = pair_logits(self.logits_norm, self.logits, pair, work)
        single += self.attention(single, hide_keys(logits, mask))
        self.transition.add_to(single, single, work)
