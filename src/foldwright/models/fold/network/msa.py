"""Blocks that exchange information between the alignment and the pair representation."""

from collections.abc import Iterator

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from foldwright.models.fold.network.gated_transition import GatedTransition
from foldwright.models.fold.network.grid_attention import pair_logits
from foldwright.models.fold.network.pairformer import PairBlock
from foldwright.models.fold.network.workspace import Workspace, row_blocks
from foldwright.nn.linear import Linear

_HIDDEN = 1e9
_ROWS_PER_BLOCK = 64
"""Alignment rows averaged together; a constant, see `Workspace`."""
_FEW_ROWS = 16
"""Up to so many rows the outer product takes less arithmetic in the other order."""


class OuterProductMean(nn.Module):
    """Mean over the rows of products of two columns (Abramson et al. 2024, algorithm 9)."""

    def __init__(self, msa_channels: int, outer_channels: int, pair_channels: int) -> None:
        super().__init__()
        self.layer_norm = nn.LayerNorm(msa_channels)
        self.left = Linear(msa_channels, outer_channels, bias=False)
        self.right = Linear(msa_channels, outer_channels, bias=False)
        self.out = Linear(outer_channels * outer_channels, pair_channels)

    def forward(
        self, msa: Float[Tensor, "s n c"], mask: Bool[Tensor, "s n"]
    ) -> Float[Tensor, "n n d"]:
        """Compute the update; a pair that no row covers gets the bias over 1e-3 (padding only)."""
        n = msa.shape[1]
        update = msa.new_zeros(n, n, self.out.out_features)
        self.add_to(update, msa, mask)
        return update

    def add_to(
        self,
        pair: Float[Tensor, "n n d"],
        msa: Float[Tensor, "s n c"],
        mask: Bool[Tensor, "s n"],
    ) -> None:
        """Add the update to `pair` in place, some first columns at a time."""
        real = mask.to(msa.dtype)
        normed = self.layer_norm(msa)
        left, right = (linear(normed) * real[..., None] for linear in (self.left, self.right))
        s, n, o = left.shape
        count = real.T @ real + 1e-3
        few = s <= _FEW_ROWS
        right = right.transpose(0, 1).reshape(n, s * o) if few else right.reshape(s, n * o)
        mapped = self._mapped_first if few else self._summed_first
        for rows in row_blocks(pair):
            pair[rows].add_(mapped(left[:, rows], right).div_(count[rows, :, None]))

    def _summed_first(self, left: Tensor, right: Tensor) -> Tensor:
        """Sum the products over the rows (s r o), (s n*o), then map them: (r n d)."""
        s, r, o = left.shape
        products = left.reshape(s, -1).T @ right
        mapped: Tensor = self.out(products.view(r, o, -1, o).transpose(1, 2).flatten(-2))
        return mapped

    def _mapped_first(self, left: Tensor, right: Tensor) -> Tensor:
        """Map the left factor (s r o), then sum its products with the right one (n s*o): (r n d).

        This never holds the products, which for one row are mapped at 32 times the arithmetic.
        """
        s, r, o = left.shape
        weight = self.out.weight.view(-1, o, o).permute(1, 2, 0).reshape(o, -1)
        mapped = (left.reshape(-1, o) @ weight).view(s, r, o, -1).transpose(1, 2)
        summed = right @ mapped.reshape(s * o, -1)
        return summed.view(len(right), r, -1).transpose(0, 1) + self.out.bias


class MSAPairAttention(nn.Module):
    """Averages of the columns weighted by the pair representation (algorithm 10)."""

    def __init__(
        self, msa_channels: int, pair_channels: int, *, num_heads: int, width: int | None = None
    ) -> None:
        super().__init__()
        width = width or msa_channels
        self.num_heads = num_heads
        self.layer_norm = nn.LayerNorm(msa_channels)
        self.pair_norm = nn.LayerNorm(pair_channels)
        self.pair_logits = Linear(pair_channels, num_heads, bias=False)
        self.value = Linear(msa_channels, width, bias=False)
        self.gate = Linear(msa_channels, width, bias=False)
        self.out = Linear(width, msa_channels, bias=False, init="final")

    def forward(
        self,
        msa: Float[Tensor, "s n c"],
        mask: Bool[Tensor, "s n"],
        pair: Float[Tensor, "n n d"],
    ) -> Float[Tensor, "s n c"]:
        """Compute the update; every row is averaged with the same weights."""
        update = torch.zeros_like(msa)
        for rows, part in self._updates(msa, mask, pair, Workspace()):
            update[rows] = part
        return update

    def add_to(
        self,
        msa: Float[Tensor, "s n c"],
        mask: Bool[Tensor, "s n"],
        pair: Float[Tensor, "n n d"],
        work: Workspace,
    ) -> None:
        """Add the update to `msa` in place, some rows at a time."""
        for rows, part in self._updates(msa, mask, pair, work):
            msa[rows].add_(part)

    def _updates(
        self, msa: Tensor, mask: Tensor, pair: Tensor, work: Workspace
    ) -> Iterator[tuple[slice, Tensor]]:
        logits = pair_logits(self.pair_norm, self.pair_logits, pair, work)
        logits += _HIDDEN * (mask.any(0).to(logits.dtype) - 1)
        weights = torch.softmax(logits, dim=-1, out=logits)
        n = len(pair)
        for start in range(0, len(msa), _ROWS_PER_BLOCK):
            rows = slice(start, start + _ROWS_PER_BLOCK)
            x = self.layer_norm(msa[rows])
            value = self.value(x).view(len(x), n, self.num_heads, -1).permute(2, 1, 0, 3)
            mixed = (weights @ value.flatten(-2)).view(self.num_heads, n, len(x), -1)
            mixed = mixed.permute(2, 1, 0, 3).flatten(-2)
            yield rows, self.out(mixed.mul_(torch.sigmoid(self.gate(x))))


class MSABlock(nn.Module):
    """One block of the alignment stack (Abramson et al. 2024, algorithm 8)."""

    def __init__(
        self,
        msa_channels: int,
        pair_channels: int,
        *,
        outer_channels: int,
        msa_heads: int,
        pair_heads: int,
        msa_width: int | None = None,
        turned_bias: bool = False,
    ) -> None:
        super().__init__()
        self.outer_product = OuterProductMean(msa_channels, outer_channels, pair_channels)
        self.attention = MSAPairAttention(
            msa_channels, pair_channels, num_heads=msa_heads, width=msa_width
        )
        self.transition = GatedTransition(msa_channels, 4)
        self.pair = PairBlock(
            pair_channels, num_heads=pair_heads, factor=4, turned_bias=turned_bias
        )

    def forward(
        self,
        msa: Float[Tensor, "s n c"],
        mask: Bool[Tensor, "s n"],
        pair: Float[Tensor, "n n d"],
        pair_mask: Bool[Tensor, "n n"],
    ) -> tuple[Float[Tensor, "s n c"], Float[Tensor, "n n d"]]:
        """Return alignment and pair representation updated."""
        msa, pair, work = msa.clone(), pair.clone(), Workspace()
        self.outer_product.add_to(pair, msa, mask)
        self.update_alignment(msa, mask, pair, work)
        self.pair.update(pair, pair_mask, work)
        return msa, pair

    def update_alignment(
        self,
        msa: Float[Tensor, "s n c"],
        mask: Bool[Tensor, "s n"],
        pair: Float[Tensor, "n n d"],
        work: Workspace,
    ) -> None:
        """Add both updates of the alignment in place."""
        self.attention.add_to(msa, mask, pair, work)
        self.transition.add_to(msa, msa, work)


class LastMSABlock(nn.Module):
    """The last block where it has no update of the alignment: outer product and pair updates."""

    def __init__(
        self,
        msa_channels: int,
        pair_channels: int,
        *,
        outer_channels: int,
        pair_heads: int,
        turned_bias: bool = False,
    ) -> None:
        super().__init__()
        self.outer_product = OuterProductMean(msa_channels, outer_channels, pair_channels)
        self.pair = PairBlock(
            pair_channels, num_heads=pair_heads, factor=4, turned_bias=turned_bias
        )
