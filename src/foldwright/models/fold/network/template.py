"""Structures of related proteins as input of the pair representation."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.functional import embedding, one_hot

from foldwright.models.fold.features import (
    NUM_CLASSES,
    NUM_DISTANCE_BINS,
    distance_bins,
    template_directions,
)
from foldwright.models.fold.inputs import Templates
from foldwright.models.fold.network.pairformer import PairBlock
from foldwright.nn.linear import Linear

_GLYCINE = 7


class TemplateEmbedding(nn.Module):
    """Mean over all slots, empty ones included (Abramson et al. 2024, algorithm 16)."""

    def __init__(
        self, pair_channels: int, channels: int, *, num_heads: int, num_blocks: int
    ) -> None:
        super().__init__()
        self.single = SingleTemplate(
            pair_channels, channels, num_heads=num_heads, num_blocks=num_blocks
        )
        self.out = Linear(channels, pair_channels, bias=False, init="relu")

    def forward(
        self,
        pair: Float[Tensor, "n n z"],
        templates: Templates,
        same_chain: Bool[Tensor, "n n"],
        pair_mask: Bool[Tensor, "n n"],
    ) -> Float[Tensor, "n n z"]:
        """Compute the update of the pair representation."""
        total: Tensor | None = None
        slots = zip(templates.residue_class, templates.positions, templates.mask, strict=True)
        for kind, positions, mask in slots:
            one = self.single(pair, kind, positions, mask, same_chain, pair_mask)
            total = one if total is None else total + one
        assert total is not None, "the network has template slots even without templates"
        update: Tensor = self.out((total / (len(templates.mask) + 1e-7)).relu())
        return update


class SingleTemplate(nn.Module):
    """Features of one template and its pair blocks."""

    def __init__(
        self, pair_channels: int, channels: int, *, num_heads: int, num_blocks: int
    ) -> None:
        super().__init__()
        self.distances = Linear(NUM_DISTANCE_BINS, channels, bias=False)
        self.has_distance = Linear(1, channels, bias=False)
        self.column_class = Linear(NUM_CLASSES, channels, bias=False)
        self.row_class = Linear(NUM_CLASSES, channels, bias=False)
        self.direction_x = Linear(1, channels, bias=False)
        self.direction_y = Linear(1, channels, bias=False)
        self.direction_z = Linear(1, channels, bias=False)
        self.has_direction = Linear(1, channels, bias=False)
        self.pair = Linear(pair_channels, channels, bias=False)
        self.pair_norm = nn.LayerNorm(pair_channels)
        self.blocks = nn.ModuleList(
            PairBlock(channels, num_heads=num_heads, factor=2) for _ in range(num_blocks)
        )
        self.out_norm = nn.LayerNorm(channels)

    def forward(
        self,
        pair: Float[Tensor, "n n z"],
        kind: Int[Tensor, " n"],
        positions: Float[Tensor, "n 24 3"],
        mask: Bool[Tensor, "n 24"],
        same_chain: Bool[Tensor, "n n"],
        pair_mask: Bool[Tensor, "n n"],
    ) -> Float[Tensor, "n n c"]:
        """Embed one template."""
        beta = torch.where(kind == _GLYCINE, 1, 4)[:, None]
        has_beta = mask.gather(1, beta)[:, 0]
        beta_positions = positions.gather(1, beta[..., None].expand(-1, 1, 3))[:, 0]
        near = has_beta[:, None] & has_beta[None] & same_chain
        backbone = mask[:, :3].all(1)
        framed = backbone[:, None] & backbone[None] & same_chain
        x = bin_linear(self.distances, distance_bins(beta_positions).where(near, 0))
        x = x + self.has_distance(near[..., None].to(x.dtype))
        classes = one_hot(kind.long(), NUM_CLASSES).to(x.dtype)
        x = x + self.column_class(classes)[None] + self.row_class(classes)[:, None]
        vectors = template_directions(positions, backbone) * framed[..., None]
        along = (self.direction_x, self.direction_y, self.direction_z)
        weight = torch.cat([linear.weight for linear in along], dim=1)
        x = x + vectors.to(x.dtype) @ weight.T + self.has_direction(framed[..., None].to(x.dtype))
        x = x + self.pair(self.pair_norm(pair))
        for block in self.blocks:
            x = block(x, pair_mask)
        out: Tensor = self.out_norm(x)
        return out


def bin_linear(linear: Linear, bins: Int[Tensor, "n n"]) -> Float[Tensor, "n n c"]:
    """Apply a linear map to one-hot bins without building them; bin 0 stands for no bin."""
    table = torch.cat([torch.zeros_like(linear.weight[:, :1]), linear.weight], dim=1).T
    return embedding(bins, table.contiguous())
