"""Transformer parts over the residues of peptides; padding is never attended to."""

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from foldwright.nn.linear import Linear

_ROTARY_BASE = 100.0
"""Longest wavelength over 2 pi: peptides are short, so 10,000 would leave most angles unused."""


class PeptideAttention(nn.Module):
    """Multi-head self-attention with rotary positions (Su et al. 2021, equation 34).

    A row without any real residue gives zeros.
    """

    def __init__(self, channels: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.to_qkv = Linear(channels, 3 * channels, init="glorot")
        self.to_out = Linear(channels, channels, init="glorot")

    def forward(
        self, s: Float[Tensor, "b n c"], mask: Bool[Tensor, "b n"]
    ) -> Float[Tensor, "b n c"]:
        """Return the update of every residue, zero on padding."""
        b, n, c = s.shape
        qkv = self.to_qkv(s).view(b, n, 3, self.num_heads, c // self.num_heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)
        cos, sin = _rotary_table(n, c // self.num_heads, s)
        query, key = _rotate(query, cos, sin), _rotate(key, cos, sin)
        mixed = masked_attention(query, key, value, mask)
        update: Tensor = self.to_out(mixed.transpose(1, 2).reshape(b, n, c))
        return update * mask[..., None]


class StructureAttention(nn.Module):
    """Attention of residues to features of the structure, with rotary positions on both sides.

    The output map starts at zero and has no bias: a peptide without a structure gets exactly zero.
    """

    def __init__(self, channels: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.to_query = Linear(channels, channels, init="glorot")
        self.to_key_value = Linear(channels, 2 * channels, init="glorot")
        self.to_out = Linear(channels, channels, bias=False, init="final")

    def forward(
        self,
        s: Float[Tensor, "b n c"],
        features: Float[Tensor, "b n c"],
        mask: Bool[Tensor, "b n"],
    ) -> Float[Tensor, "b n c"]:
        """Return the update of every residue; `mask` says which residues have features."""
        b, n, c = s.shape
        width = c // self.num_heads
        query = self.to_query(s).view(b, n, self.num_heads, width).transpose(1, 2)
        pair = self.to_key_value(features).view(b, n, 2, self.num_heads, width)
        key, value = pair.permute(2, 0, 3, 1, 4)
        cos, sin = _rotary_table(n, width, s)
        mixed = masked_attention(_rotate(query, cos, sin), _rotate(key, cos, sin), value, mask)
        update: Tensor = self.to_out(mixed.transpose(1, 2).reshape(b, n, c))
        return update


class PeptideTransition(nn.Module):
    """Expansion, GELU, contraction."""

    def __init__(self, channels: int, expansion: int) -> None:
        super().__init__()
        self.expand = Linear(channels, expansion * channels, init="relu")
        self.contract = Linear(expansion * channels, channels)

    def forward(self, s: Float[Tensor, "b n c"]) -> Float[Tensor, "b n c"]:
        """Return the update of every residue."""
        update: Tensor = self.contract(torch.nn.functional.gelu(self.expand(s)))
        return update


class PeptideBlock(nn.Module):
    """Attention and transition, each after a layer norm and added to its input."""

    def __init__(self, channels: int, *, num_heads: int, expansion: int) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(channels)
        self.attention = PeptideAttention(channels, num_heads)
        self.transition_norm = nn.LayerNorm(channels)
        self.transition = PeptideTransition(channels, expansion)

    def forward(
        self, s: Float[Tensor, "b n c"], mask: Bool[Tensor, "b n"]
    ) -> Float[Tensor, "b n c"]:
        """Return the residues after the block."""
        s = s + self.attention(self.attention_norm(s), mask)
        out: Tensor = s + self.transition(self.transition_norm(s))
        return out


class EndDistances(nn.Module):
    """Learned embeddings of the distance to the first and to the last residue.

    Both ends of a peptide are special: a start residue or a signal at one, amidation at the other.
    """

    def __init__(self, max_length: int, channels: int) -> None:
        super().__init__()
        self.from_start = nn.Embedding(max_length, channels)
        self.from_end = nn.Embedding(max_length, channels)
        for table in (self.from_start, self.from_end):
            nn.init.normal_(table.weight, std=0.02)

    def forward(self, mask: Bool[Tensor, "b n"]) -> Float[Tensor, "b n c"]:
        """Return the sum of both embeddings; on padding it has no meaning."""
        position = torch.arange(mask.shape[1], device=mask.device)
        left = (mask.sum(1, keepdim=True) - 1 - position).clamp(min=0)
        out: Tensor = self.from_start(position) + self.from_end(left)
        return out


def masked_attention(
    query: Float[Tensor, "b h n c"],
    key: Float[Tensor, "b h m c"],
    value: Float[Tensor, "b h m c"],
    mask: Bool[Tensor, "b m"],
) -> Float[Tensor, "b h n c"]:
    """Attend to real positions only; rows that have none attend to zeros and give zeros."""
    nothing = ~mask.any(dim=1)
    attended = mask | nothing[:, None]
    # Values that are zeroed where a row is empty make its result zero, never NaN.
    value = value * (~nothing)[:, None, None, None]
    return torch.nn.functional.scaled_dot_product_attention(
        query, key, value, attn_mask=attended[:, None, None, :]
    )


def _rotary_table(n: int, channels: int, like: Tensor) -> tuple[Tensor, Tensor]:
    half = channels // 2
    rate = torch.exp(-math.log(_ROTARY_BASE) * torch.arange(half, device=like.device) / half)
    angle = torch.arange(n, device=like.device)[:, None] * rate
    return angle.cos().to(like.dtype), angle.sin().to(like.dtype)


def _rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    first, second = x.chunk(2, dim=-1)
    return torch.cat([first * cos - second * sin, first * sin + second * cos], dim=-1)
