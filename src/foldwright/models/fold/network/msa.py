"""Blocks that exchange information between the alignment and the pair representation."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from foldwright.models.fold.network.gated_transition import GatedTransition
from foldwright.models.fold.network.pairformer import PairBlock
from foldwright.nn.linear import Linear

_PRODUCTS_PER_CHUNK = 1 << 22
_HIDDEN = 1e9


class OuterProductMean(nn.Module):
    """Mean over the rows of products of two columns (Abramson et al. 2024, algorithm 9)."""

    def __init__(self, msa_channels: int, outer_channels: int, pair_channels: int) -> None:
        super().__init__()
        self.layer_norm = nn.LayerNorm(msa_channels)
        self.left = Linear(msa_channels, outer_channels, bias=False)
        self.right = Linear(msa_channels, outer_channels, bias=False)
        self.out = Linear(outer_channels * outer_channels, pair_channels)

    def forward(
        self,
        msa: Float[Tensor, "s n c"],
        mask: Bool[Tensor, "s n"],
        *,
        products_per_chunk: int = _PRODUCTS_PER_CHUNK,
    ) -> Float[Tensor, "n n d"]:
        """Compute the update; a pair that no row covers gets the bias over 1e-3 (padding only).

        First columns are taken in chunks with at most `products_per_chunk` products.
        """
        real = mask.to(msa.dtype)
        normed = self.layer_norm(msa)
        left, right = (linear(normed) * real[..., None] for linear in (self.left, self.right))
        s, n, o = left.shape
        count = real.T @ real + 1e-3
        right = right.reshape(s, n * o)
        step = max(1, products_per_chunk // (n * o * o))
        update = msa.new_empty(n, n, self.out.out_features)
        for start in range(0, n, step):
            part = left[:, start : start + step].reshape(s, -1)
            products = (part.T @ right).view(-1, o, n, o).transpose(1, 2).flatten(-2)
            update[start : start + step] = self.out(products)
        return update / count[..., None]


class MSAPairAttention(nn.Module):
    """Averages of the columns weighted by the pair representation (algorithm 10)."""

    def __init__(self, msa_channels: int, pair_channels: int, *, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.layer_norm = nn.LayerNorm(msa_channels)
        self.pair_norm = nn.LayerNorm(pair_channels)
        self.pair_logits = Linear(pair_channels, num_heads, bias=False)
        self.value = Linear(msa_channels, msa_channels, bias=False)
        self.gate = Linear(msa_channels, msa_channels, bias=False)
        self.out = Linear(msa_channels, msa_channels, bias=False, init="final")

    def forward(
        self,
        msa: Float[Tensor, "s n c"],
        mask: Bool[Tensor, "s n"],
        pair: Float[Tensor, "n n d"],
    ) -> Float[Tensor, "s n c"]:
        """Compute the update; every row is averaged with the same weights."""
        x = self.layer_norm(msa)
        logits = self.pair_logits(self.pair_norm(pair)).permute(2, 0, 1)
        covered = mask.any(0).to(logits.dtype)
        weights = torch.softmax(logits + _HIDDEN * (covered - 1), dim=-1)
        s, n, _ = x.shape
        value = self.value(x).view(s, n, self.num_heads, -1).permute(2, 1, 0, 3).flatten(-2)
        mixed = (weights @ value).view(self.num_heads, n, s, -1)
        mixed = mixed.permute(2, 1, 0, 3).reshape(s, n, -1)
        update: Tensor = self.out(mixed * torch.sigmoid(self.gate(x)))
        return update


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
    ) -> None:
        super().__init__()
        self.outer_product = OuterProductMean(msa_channels, outer_channels, pair_channels)
        self.attention = MSAPairAttention(msa_channels, pair_channels, num_heads=msa_heads)
        self.transition = GatedTransition(msa_channels, 4)
        self.pair = PairBlock(pair_channels, num_heads=pair_heads, factor=4)

    def forward(
        self,
        msa: Float[Tensor, "s n c"],
        mask: Bool[Tensor, "s n"],
        pair: Float[Tensor, "n n d"],
        pair_mask: Bool[Tensor, "n n"],
    ) -> tuple[Float[Tensor, "s n c"], Float[Tensor, "n n d"]]:
        """Return alignment and pair representation updated."""
        pair = pair + self.outer_product(msa, mask)
        msa = msa + self.attention(msa, mask, pair)
        msa = msa + self.transition(msa)
        return msa, self.pair(pair, pair_mask)
