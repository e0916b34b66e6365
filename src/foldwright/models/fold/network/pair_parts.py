"""Stacks that update the pair representation, as a configuration wants them."""

from torch import nn

from foldwright.models.fold.config import FoldConfig
from foldwright.models.fold.network.msa import LastMSABlock, MSABlock
from foldwright.models.fold.network.pairformer import PairBlock, PairformerBlock
from foldwright.models.fold.network.template import TemplateEmbedding


def pairformer_blocks(config: FoldConfig, count: int) -> nn.ModuleList:
    """Build blocks on both representations, for the trunk or the scores."""
    return nn.ModuleList(
        PairformerBlock(
            config.pair_channels,
            config.single_channels,
            pair_heads=config.pair_heads,
            single_heads=config.single_heads,
            turned_bias=config.differences.turned_bias,
        )
        for _ in range(count)
    )


def template_embedding(config: FoldConfig) -> TemplateEmbedding | None:
    """Build the embedding of templates; a network without blocks for them reads none."""
    if not config.num_template_blocks:
        return None
    blocks = nn.ModuleList(
        PairBlock(
            config.template_channels,
            num_heads=config.template_heads or config.pair_heads,
            factor=2,
            head_width=config.template_head_width,
            triangle_channels=config.template_triangle_channels,
            turned_bias=config.differences.turned_bias,
        )
        for _ in range(config.num_template_blocks)
    )
    return TemplateEmbedding(
        config.pair_channels,
        config.template_channels,
        blocks,
        num_classes=config.differences.num_classes,
    )


def msa_blocks(config: FoldConfig) -> nn.ModuleList:
    """Build the alignment stack; in some families its last block cannot update the alignment."""
    full = config.num_msa_blocks - int(not config.differences.last_alignment_update)
    return nn.ModuleList(
        _msa_block(config) if index < full else _last_msa_block(config)
        for index in range(config.num_msa_blocks)
    )


def _msa_block(config: FoldConfig) -> MSABlock:
    return MSABlock(
        config.msa_channels,
        config.pair_channels,
        outer_channels=config.outer_channels,
        msa_heads=config.msa_heads,
        msa_width=config.msa_width,
        pair_heads=config.pair_heads,
        turned_bias=config.differences.turned_bias,
    )


def _last_msa_block(config: FoldConfig) -> LastMSABlock:
    return LastMSABlock(
        config.msa_channels,
        config.pair_channels,
        outer_channels=config.outer_channels,
        pair_heads=config.pair_heads,
        turned_bias=config.differences.turned_bias,
    )
