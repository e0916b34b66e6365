"""OpenFold3 checkpoints: the sizes that they tell, and the order of their columns.

Two layouts are read: that of package version 0.5 (weights "openbind"), and that of version 0.4
(weights "preview 2"), which has a norm of the pairs in every block of the token transformer.
"""

from collections.abc import Callable, Collection, Mapping

import torch
from torch import Tensor

from foldwright.models.fold.config import AtomConfig, DenoiserConfig, FoldConfig
from foldwright.models.fold.family import FamilyName
from foldwright.models.fold.network.fold_network import FoldNetwork
from foldwright.models.fold.weights.assembly import ZERO, Layout
from foldwright.models.fold.weights.columns import count_members, feature_orders
from foldwright.models.fold.weights.naming import Naming
from foldwright.models.fold.weights.openfold3_names import PREVIEW_SPECIAL, SPECIAL, TABLES
from foldwright.runtime.errors import InputError

TELLING = "aux_heads.pairformer_embedding.linear_i.weight"
"""A name that no checkpoints of other programs have."""

_VERSION = "version_tensor"
_VERSIONS: Mapping[FamilyName, list[float]] = {
    "openfold3": [2.0, 0.0, 0.0],
    "openfold3-preview": [1.0, 0.0, 0.0],
}
_NUM_ELEMENTS = 119
_INPUTS = "input_embedder.atom_attn_enc"
_NOISY = "diffusion_module"
_TWIN = "sample_diffusion."
"""Beginning of the names under which the denoiser is in a checkpoint once more."""
_CONDITIONING = f"{_NOISY}.diffusion_conditioning"
_TOKEN_BLOCKS = f"{_NOISY}.diffusion_transformer.blocks"
PREVIEW_TELLING = f"{_TOKEN_BLOCKS}.0.attention_pair_bias.layer_norm_z.weight"
"""A name that only the preview weights have, beside `TELLING`."""
_SCORE_BLOCKS = "aux_heads.pairformer_embedding.pairformer_stack.blocks"
_TEMPLATE_BLOCKS = "template_embedder.template_pair_stack.blocks"
_TRUNK_BLOCKS = "pairformer_stack.blocks"
_MSA_BLOCKS = "msa_module.blocks"

Shapes = Mapping[str, torch.Size]


def openfold3_layout(network: FoldNetwork) -> Layout:
    """Say which tensors each parameter of the network is made of."""
    preview = network.config.family == "openfold3-preview"
    naming = Naming(TABLES, PREVIEW_SPECIAL if preview else SPECIAL, _orders(network.config))
    return dict(naming.assemblies(network, "", ""))


def openfold3_tensors(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Leave out the version of the layout and what is in a checkpoint twice.

    Raises:
        InputError: the checkpoint is of a version that this network does not compute, or the two
            copies of a tensor differ.
    """
    version, expected = tensors.get(_VERSION), _VERSIONS[_family(tensors)]
    if version is not None and version.tolist() != expected:
        raise InputError(f"has layout version {version.tolist()}, expected {expected}")
    once = {}
    for name, value in tensors.items():
        own = name.removeprefix(_TWIN)
        if own != name and own in tensors and not torch.equal(value, tensors[own]):
            raise InputError(f"tensor {name} differs from its copy {own}")
        if name != _VERSION:
            once[own] = value
    return once


def openfold3_config(shapes: Shapes) -> FoldConfig:
    """Read the sizes of the network off the shapes of a checkpoint.

    Raises:
        InputError: a tensor that tells a size is missing.
    """

    def size(name: str, axis: int = 0) -> int:
        if name not in shapes:
            raise InputError(f"tensor {name} is missing")
        return shapes[name][axis]

    first = f"{_TRUNK_BLOCKS}.0"
    return FoldConfig(
        family=_family(shapes),
        pair_channels=size("linear_z.weight"),
        single_channels=size("linear_s.weight"),
        msa_channels=size("msa_module_embedder.linear_m.weight"),
        template_channels=size("template_embedder.linear_t.weight", 1),
        input_channels=size(f"{_INPUTS}.linear_q.0.weight"),
        outer_channels=size(f"{_MSA_BLOCKS}.0.outer_product_mean.linear_1.weight"),
        pair_heads=size(f"{first}.pair_stack.tri_att_start.linear_z.weight"),
        msa_heads=size(f"{_MSA_BLOCKS}.0.msa_att_row.linear_z.weight"),
        single_heads=size(f"{first}.attn_pair_bias.linear_z.weight"),
        num_msa_blocks=count_members(shapes, _MSA_BLOCKS),
        num_template_blocks=count_members(shapes, _TEMPLATE_BLOCKS),
        num_trunk_blocks=count_members(shapes, _TRUNK_BLOCKS),
        num_confidence_blocks=count_members(shapes, _SCORE_BLOCKS),
        atoms=AtomConfig(
            channels=size(f"{_INPUTS}.linear_l.weight", 1),
            pair_channels=size(f"{_INPUTS}.linear_l.weight"),
            num_heads=size(
                f"{_INPUTS}.atom_transformer.blocks.0.attention_pair_bias.linear_z.weight"
            ),
            width=size(
                f"{_INPUTS}.atom_transformer.blocks.0.attention_pair_bias.mha.linear_k.weight"
            ),
            num_input_blocks=count_members(shapes, f"{_INPUTS}.atom_transformer.blocks"),
            num_diffusion_blocks=count_members(
                shapes, f"{_NOISY}.atom_attn_enc.atom_transformer.blocks"
            ),
        ),
        diffusion=_denoiser(size, count_members(shapes, _TOKEN_BLOCKS)),
    )


def _family(names: Collection[str]) -> FamilyName:
    return "openfold3-preview" if PREVIEW_TELLING in names else "openfold3"


def _denoiser(size: Callable[[str], int], num_blocks: int) -> DenoiserConfig:
    grouped = 4 if num_blocks % 4 == 0 else 1  # any grouping computes the same
    return DenoiserConfig(
        token_channels=size(f"{_NOISY}.linear_s.weight"),
        single_channels=size(f"{_CONDITIONING}.linear_s.weight"),
        pair_channels=size(f"{_CONDITIONING}.linear_z.weight"),
        num_heads=size(f"{_TOKEN_BLOCKS}.0.attention_pair_bias.linear_z.weight"),
        num_super_blocks=num_blocks // grouped,
        super_block_size=grouped,
    )


def _orders(config: FoldConfig) -> dict[str, tuple[int, ...]]:
    """Place in a checkpoint of every column of the features that we order otherwise."""
    element = [ZERO] * 128
    element[1 : _NUM_ELEMENTS + 1] = range(_NUM_ELEMENTS)
    return {
        **feature_orders(config.input_channels, config.single_channels),
        "element": tuple(element),
    }
