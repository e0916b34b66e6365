"""Structures of related proteins as input of the pair representation."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.functional import embedding, one_hot

from foldwright.models.fold.features import (
    NUM_DISTANCE_BINS,
    distance_bins,
    template_directions,
)
from foldwright.models.fold.inputs import Templates
from foldwright.models.fold.network.pairformer import PairBlock
from foldwright.models.fold.network.workspace import Workspace, row_blocks
from foldwright.nn.linear import Linear

_GLYCINE = 7


class TemplateEmbedding(nn.Module):
    """Mean over all slots, empty ones included (Abramson et al. 2024, algorithm 16)."""

    def __init__(
        self, pair_channels: int, channels: int, blocks: nn.ModuleList, *, num_classes: int
    ) -> None:
        super().__init__()
        self.single = SingleTemplate(pair_channels, channels, blocks, num_classes=num_classes)
        self.out = Linear(channels, pair_channels, bias=False, init="relu")

    def forward(
        self,
        pair: Float[Tensor, "n n z"],
        templates: Templates,
        same_chain: Bool[Tensor, "n n"],
        pair_mask: Bool[Tensor, "n n"],
    ) -> Float[Tensor, "n n z"]:
        """Compute the update of the pair representation."""
        update: Tensor = self.out(self._mean(pair, templates, same_chain, pair_mask, Workspace()))
        return update

    def add_to(
        self,
        pair: Float[Tensor, "n n z"],
        templates: Templates,
        same_chain: Bool[Tensor, "n n"],
        pair_mask: Bool[Tensor, "n n"],
        work: Workspace,
    ) -> None:
        """Add the update to `pair` in place."""
        mean = self._mean(pair, templates, same_chain, pair_mask, work)
        for rows in row_blocks(pair):
            pair[rows].add_(self.out(mean[rows]))

    def _mean(
        self,
        pair: Tensor,
        templates: Templates,
        same_chain: Tensor,
        pair_mask: Tensor,
        work: Workspace,
    ) -> Tensor:
        """Rectified mean of all slots; a slot equal to the last one is not computed again."""
        count = len(templates.mask)
        assert count, "the network has template slots even without templates"
        shape = (*pair.shape[:2], self.out.in_features)
        total = pair.new_zeros(shape)
        x = pair.new_empty(shape)
        for slot in range(count):
            if not slot or not _same_slot(templates, slot - 1, slot):
                parts = (templates.residue_class, templates.positions, templates.mask)
                self.single.embed(x, pair, [part[slot] for part in parts], same_chain)
                self.single.update(x, pair_mask, work)
            total += x
        return total.div_(count + 1e-7).relu_()


class SingleTemplate(nn.Module):
    """Features of one template and its pair blocks."""

    def __init__(
        self, pair_channels: int, channels: int, blocks: nn.ModuleList, *, num_classes: int
    ) -> None:
        super().__init__()
        self.distances = Linear(NUM_DISTANCE_BINS, channels, bias=False)
        self.has_distance = Linear(1, channels, bias=False)
        self.column_class = Linear(num_classes, channels, bias=False)
        self.row_class = Linear(num_classes, channels, bias=False)
        self.direction_x = Linear(1, channels, bias=False)
        self.direction_y = Linear(1, channels, bias=False)
        self.direction_z = Linear(1, channels, bias=False)
        self.has_direction = Linear(1, channels, bias=False)
        self.pair = Linear(pair_channels, channels, bias=False)
        self.pair_norm = nn.LayerNorm(pair_channels)
        self.blocks = blocks
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
        x = pair.new_empty(*pair.shape[:2], self.out_norm.normalized_shape[0])
        self.embed(x, pair, [kind, positions, mask], same_chain)
        self.update(x, pair_mask, Workspace())
        return x

    def embed(
        self,
        x: Float[Tensor, "n n c"],
        pair: Float[Tensor, "n n z"],
        template: list[Tensor],
        same_chain: Bool[Tensor, "n n"],
    ) -> None:
        """Write the features of one template (class, positions, mask) to `x`."""
        kind, positions, mask = template
        beta = torch.where(kind == _GLYCINE, 1, 4)[:, None]
        has_beta = mask.gather(1, beta)[:, 0]
        beta_positions = positions.gather(1, beta[..., None].expand(-1, 1, 3))[:, 0]
        near = has_beta[:, None] & has_beta[None] & same_chain
        backbone = mask[:, :3].all(1)
        framed = backbone[:, None] & backbone[None] & same_chain
        bins = distance_bins(beta_positions).where(near, 0)
        vectors = template_directions(positions, backbone) * framed[..., None]
        classes = one_hot(kind.long(), self.row_class.in_features).to(x.dtype)
        column, row = self.column_class(classes), self.row_class(classes)
        along = (self.direction_x, self.direction_y, self.direction_z)
        weight = torch.cat([linear.weight for linear in along], dim=1)
        for rows in row_blocks(x):
            part = bin_linear(self.distances, bins[rows])
            part += self.has_distance(near[rows, :, None].to(x.dtype))
            part += column[None] + row[rows, None]
            part += vectors[rows].to(x.dtype) @ weight.T
            part += self.has_direction(framed[rows, :, None].to(x.dtype))
            part += self.pair(self.pair_norm(pair[rows]))
            x[rows] = part

    def update(
        self, x: Float[Tensor, "n n c"], pair_mask: Bool[Tensor, "n n"], work: Workspace
    ) -> None:
        """Run the pair blocks on `x` in place, and normalise it."""
        for block in self.blocks:
            assert isinstance(block, PairBlock)
            block.update(x, pair_mask, work)
        for rows in row_blocks(x):
            x[rows] = self.out_norm(x[rows])


def _same_slot(templates: Templates, one: int, other: int) -> bool:
    """Whether two slots have the same features, as empty ones do."""
    if not torch.equal(templates.residue_class[one], templates.residue_class[other]):
        return False
    if not bool(templates.mask[[one, other]].any()):
        return True
    return torch.equal(templates.mask[one], templates.mask[other]) and torch.equal(
        templates.positions[one], templates.positions[other]
    )


def bin_linear(linear: Linear, bins: Int[Tensor, "r n"]) -> Float[Tensor, "r n c"]:
    """Apply a linear map to one-hot bins without building them; bin 0 stands for no bin."""
    table = torch.cat([torch.zeros_like(linear.weight[:, :1]), linear.weight], dim=1).T
    return embedding(bins, table.contiguous())
