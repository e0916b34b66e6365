"""One pass through the trunk (Abramson et al. 2024, algorithm 1, lines 1 to 14)."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from foldwright.models.fold.config import FoldConfig
from foldwright.models.fold.features import (
    MSA_FEATURES,
    RELATIVE_CHANNELS,
    alignment_features,
    bond_matrix,
    relative_encoding,
)
from foldwright.models.fold.inputs import FoldInputs
from foldwright.models.fold.network.msa import LastMSABlock, MSABlock
from foldwright.models.fold.network.pair_parts import (
    msa_blocks,
    pairformer_blocks,
    template_embedding,
)
from foldwright.models.fold.network.pairformer import PairformerBlock
from foldwright.models.fold.network.workspace import Workspace, row_blocks
from foldwright.nn.linear import Linear


class Trunk(nn.Module):
    """Token features and the last pass's results into single and pair representation."""

    def __init__(self, config: FoldConfig) -> None:
        super().__init__()
        target, pair, single = config.target_channels, config.pair_channels, config.single_channels
        self.num_msa_rows = config.num_msa_rows
        self.rows_single = Linear(target, pair, bias=False)
        self.columns_single = Linear(target, pair, bias=False)
        self.previous_pair_norm = nn.LayerNorm(pair)
        self.previous_pair = Linear(pair, pair, bias=False)
        self.relative = Linear(RELATIVE_CHANNELS, pair, bias=False)
        self.bonds = Linear(1, pair, bias=False)
        self.templates = template_embedding(config)
        self.msa = Linear(MSA_FEATURES, config.msa_channels, bias=False)
        self.msa_target = Linear(target, config.msa_channels, bias=False)
        self.msa_blocks = msa_blocks(config)
        self.single = Linear(target, single, bias=False)
        self.previous_single_norm = nn.LayerNorm(single)
        self.previous_single = Linear(single, single, bias=False)
        self.blocks = pairformer_blocks(config, config.num_trunk_blocks)

    def forward(
        self,
        inputs: FoldInputs,
        target: Float[Tensor, "n f"],
        previous: tuple[Float[Tensor, "n n z"], Float[Tensor, "n s"]],
        row_order: Int[Tensor, " m"],
        work: Workspace,
    ) -> tuple[Float[Tensor, "n n z"], Float[Tensor, "n s"]]:
        """Return pair and single representation in the format of the trunk's linear maps.

        Args:
            inputs: the input.
            target: features of every token, see `FoldNetwork.target_features`.
            previous: pair and single representation of the last pass, zero in the first. The
                pair's memory is taken over by the result.
            row_order: all alignment rows in the order of this pass; the first ones are used.
            work: buffers, and how much may be held at a time.
        """
        dtype = self.single.weight.dtype
        target, pair = target.to(dtype), previous[0].to(dtype)
        self._embed(inputs, target, pair)
        same_chain = inputs.tokens.asym_id[:, None] == inputs.tokens.asym_id[None]
        mask = inputs.tokens.pair_mask
        if self.templates is not None:
            self.templates.add_to(pair, inputs.templates, same_chain, mask, work)
        self._align(inputs, target, pair, row_order[: self.num_msa_rows], work)
        single = self.single(target) + self.previous_single(
            self.previous_single_norm(previous[1].to(dtype))
        )
        for block in self.blocks:
            assert isinstance(block, PairformerBlock)
            block.update(pair, single, inputs.tokens.mask, work)
        return pair, single

    def _embed(self, inputs: FoldInputs, target: Tensor, pair: Tensor) -> None:
        """Replace the last pass's pair representation by the input of this one."""
        tokens = inputs.tokens
        first, second = self.rows_single(target), self.columns_single(target)
        bonds = bond_matrix(inputs.bonds, len(tokens), pair.dtype)
        for rows in row_blocks(pair):
            previous = self.previous_pair(self.previous_pair_norm(pair[rows]))
            torch.add(first[rows, None], second[None], out=pair[rows])
            pair[rows].add_(previous)
            pair[rows].add_(self.relative(relative_encoding(tokens, rows, pair.dtype)))
            pair[rows].add_(self.bonds(bonds[rows, :, None]))

    def _align(
        self, inputs: FoldInputs, target: Tensor, pair: Tensor, chosen: Tensor, work: Workspace
    ) -> None:
        """Run the alignment stack on the pair representation in place."""
        alignment = inputs.alignment
        covered = alignment.mask[chosen].any(1)
        # Rows without a letter change nothing: rows meet in sums weighted by the mask only.
        chosen = chosen[covered] if bool(covered.any()) else chosen[:1]
        rows, deletions = alignment.rows[chosen], alignment.deletions[chosen]
        mask = alignment.mask[chosen]
        msa = self.msa(alignment_features(rows, deletions, pair.dtype))
        msa += self.msa_target(target)[None]
        for index, block in enumerate(self.msa_blocks):
            assert isinstance(block, MSABlock | LastMSABlock)
            block.outer_product.add_to(pair, msa, mask)
            if index + 1 < len(self.msa_blocks):  # nothing reads the alignment after the last
                assert isinstance(block, MSABlock)
                block.update_alignment(msa, mask, pair, work)
            block.pair.update(pair, inputs.tokens.pair_mask, work)


def first_previous(
    target: Float[Tensor, "n f"], pair_channels: int, single_channels: int
) -> tuple[Float[Tensor, "n n z"], Float[Tensor, "n s"]]:
    """Return what stands for the results of the pass before the first."""
    n = len(target)
    return target.new_zeros(n, n, pair_channels), target.new_zeros(n, single_channels)


def shuffled_rows(covered: Tensor, generator: torch.Generator | None) -> Int[Tensor, " s"]:
    """Return a random order of the rows that are `covered`, the others behind them."""
    chance = torch.rand(len(covered), generator=generator)
    return torch.argsort(chance - covered.cpu().float(), stable=True)
