"""Protenix checkpoints: the sizes that they tell, and what of them is not read.

The layout is that of package version 2.0.0, which reads the checkpoints `base` (v0.5 and v1.0),
`v2`, `mini` and `tiny`. Those with constraints or with protein language models are refused.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from foldwright.models.fold.config import AtomConfig, DenoiserConfig, FoldConfig
from foldwright.models.fold.features import NUM_DISTANCE_BINS
from foldwright.models.fold.network.fold_network import FoldNetwork
from foldwright.models.fold.weights.assembly import Layout
from foldwright.models.fold.weights.columns import count_members, feature_orders
from foldwright.models.fold.weights.naming import Naming
from foldwright.models.fold.weights.protenix_names import SPECIAL, TABLES
from foldwright.runtime.errors import InputError

TELLING = "confidence_head.linear_no_bias_d_wo_onehot.weight"
"""A name that no other family's checkpoints have."""

_REFUSED = {
    "constraint_embedder.": "reads constraints",
    "input_embedder.linear_esm.": "reads the embedding of a protein language model",
}
_INPUTS = "input_embedder.atom_attention_encoder"
_ATOM_BLOCKS = "atom_transformer.diffusion_transformer.blocks"
_NOISY = "diffusion_module"
_CONDITIONING = f"{_NOISY}.diffusion_conditioning"
_TOKEN_BLOCKS = f"{_NOISY}.diffusion_transformer.blocks"
_TEMPLATE = "template_embedder"
_TEMPLATE_BLOCKS = f"{_TEMPLATE}.pairformer_stack.blocks"
_UNREAD = tuple(
    f"{_TEMPLATE}.{name}"
    for name in (
        *("linear_no_bias_z.weight", "linear_no_bias_a.weight", "linear_no_bias_u.weight"),
        *("layernorm_z.weight", "layernorm_z.bias", "layernorm_v.weight", "layernorm_v.bias"),
    )
)
"""Embedding of templates in checkpoints without blocks for them, which never run it."""
_MSA_BLOCKS = "msa_module.blocks"
_TRUNK_BLOCKS = "pairformer_stack.blocks"
_MSA_ROWS = 16384
_CONSTANTS = {
    "confidence_head.lower_bins": torch.arange(NUM_DISTANCE_BINS) * 1.25 + 3.25,
    "confidence_head.upper_bins": torch.cat(
        [torch.arange(1, NUM_DISTANCE_BINS) * 1.25 + 3.25, torch.tensor([1e6])]
    ),
}
"""Edges of the bins of distances, Å; the network has them."""

Shapes = Mapping[str, torch.Size]


def protenix_layout(network: FoldNetwork) -> Layout:
    """Say which tensors each parameter of the network is made of."""
    config = network.config
    orders = feature_orders(config.input_channels, config.single_channels)
    return dict(Naming(TABLES, SPECIAL, orders).assemblies(network, "", ""))


def protenix_tensors(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Leave out constants that the network has, and templates where they are not computed.

    Raises:
        InputError: the checkpoint reads features that this network does not have, or a constant is
            missing or another than the network's.
    """
    for start, reason in _REFUSED.items():
        if any(name.startswith(start) for name in tensors):
            raise InputError(f"{reason} ({start}*), which this network does not; take another")
    for name, expected in _CONSTANTS.items():
        if name not in tensors:
            raise InputError(f"tensor {name} is missing")
        if not _equal(tensors[name], expected):
            raise InputError(f"tensor {name} has other edges of bins than 3.25, 4.5 ... 50.75 Å")
    unread = set(_CONSTANTS)
    if not any(name.startswith(f"{_TEMPLATE_BLOCKS}.") for name in tensors):
        unread |= set(_UNREAD)
    return {name: value for name, value in tensors.items() if name not in unread}


def protenix_config(shapes: Shapes) -> FoldConfig:
    """Read the sizes of the network off the shapes of a checkpoint.

    Raises:
        InputError: a tensor that tells a size is missing.
    """

    def size(name: str, axis: int = 0) -> int:
        if name not in shapes:
            raise InputError(f"tensor {name} is missing")
        return shapes[name][axis]

    block, msa = f"{_TRUNK_BLOCKS}.0", f"{_MSA_BLOCKS}.0"
    num_msa_blocks = count_members(shapes, _MSA_BLOCKS)
    return FoldConfig(
        family="protenix",
        pair_channels=size("linear_no_bias_z_cycle.weight"),
        single_channels=size("linear_no_bias_s.weight"),
        msa_channels=size("msa_module.linear_no_bias_m.weight"),
        input_channels=size(f"{_INPUTS}.linear_no_bias_q.weight"),
        outer_channels=size(f"{msa}.outer_product_mean_msa.linear_1.weight"),
        pair_heads=size(f"{block}.tri_att_start.linear.weight"),
        single_heads=size(f"{block}.attention_pair_bias.linear_nobias_z.weight"),
        num_msa_blocks=num_msa_blocks,
        num_template_blocks=count_members(shapes, _TEMPLATE_BLOCKS),
        num_trunk_blocks=count_members(shapes, _TRUNK_BLOCKS),
        num_confidence_blocks=count_members(shapes, "confidence_head.pairformer_stack.blocks"),
        num_msa_rows=_MSA_ROWS,
        atoms=_atoms(size, shapes),
        diffusion=_denoiser(size, count_members(shapes, _TOKEN_BLOCKS)),
        **(_msa_sizes(size) if num_msa_blocks > 1 else {}),
        **(_template_sizes(size) if count_members(shapes, _TEMPLATE_BLOCKS) else {}),
    )


def _msa_sizes(size: Callable[[str], int]) -> dict[str, int]:
    averaging = f"{_MSA_BLOCKS}.0.msa_stack.msa_pair_weighted_averaging"
    return {
        "msa_heads": size(f"{averaging}.linear_no_bias_z.weight"),
        "msa_width": size(f"{averaging}.linear_no_bias_mv.weight"),
    }


def _template_sizes(size: Callable[[str], int]) -> dict[str, int]:
    block = f"{_TEMPLATE_BLOCKS}.0"
    heads = size(f"{block}.tri_att_start.linear.weight")
    return {
        "template_channels": size(f"{_TEMPLATE}.linear_no_bias_z.weight"),
        "template_heads": heads,
        "template_head_width": size(f"{block}.tri_att_start.mha.linear_q.weight") // heads,
        "template_triangle_channels": size(f"{block}.tri_mul_out.linear_a_p.weight"),
    }


def _atoms(size: Callable[[str], int], shapes: Shapes) -> AtomConfig:
    block = f"{_INPUTS}.{_ATOM_BLOCKS}.0.attention_pair_bias"
    return AtomConfig(
        channels=size(f"{_INPUTS}.linear_no_bias_ref_pos.weight"),
        pair_channels=size(f"{_INPUTS}.linear_no_bias_d.weight"),
        num_heads=size(f"{block}.linear_nobias_z.weight"),
        width=size(f"{block}.attention.linear_k.weight"),
        num_input_blocks=count_members(shapes, f"{_INPUTS}.{_ATOM_BLOCKS}"),
        num_diffusion_blocks=count_members(
            shapes, f"{_NOISY}.atom_attention_encoder.{_ATOM_BLOCKS}"
        ),
    )


def _denoiser(size: Callable[[str], int], num_blocks: int) -> DenoiserConfig:
    grouped = 4 if num_blocks % 4 == 0 else 1  # any grouping computes the same
    return DenoiserConfig(
        token_channels=size(f"{_NOISY}.linear_no_bias_s.weight"),
        single_channels=size(f"{_CONDITIONING}.linear_no_bias_s.weight"),
        pair_channels=size(f"{_CONDITIONING}.linear_no_bias_z.weight"),
        num_heads=size(f"{_TOKEN_BLOCKS}.0.attention_pair_bias.linear_nobias_z.weight"),
        num_super_blocks=num_blocks // grouped,
        super_block_size=grouped,
    )


def _equal(found: Tensor, expected: Tensor) -> bool:
    return found.shape == expected.shape and torch.allclose(found.float(), expected)
