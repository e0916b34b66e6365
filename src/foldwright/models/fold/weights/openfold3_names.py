"""Names of the tensors in OpenFold3 checkpoints: a table per class of the network."""

from collections.abc import Mapping

from torch import nn

from foldwright.models.fold.network.adaptive import AdaptiveLayerNorm, ConditionedTransition
from foldwright.models.fold.network.atom_encoder import (
    AtomDecoder,
    AtomEncoder,
    AtomReference,
    TrunkToAtoms,
)
from foldwright.models.fold.network.atom_transformer import AtomBlock, AtomTransformer
from foldwright.models.fold.network.attention import (
    ConditionedAttention,
    GatedHeads,
    TokenAttention,
    WindowAttention,
)
from foldwright.models.fold.network.confidence import ConfidenceHead
from foldwright.models.fold.network.diffusion_head import DiffusionHead
from foldwright.models.fold.network.diffusion_transformer import (
    DiffusionTransformer,
    TokenBlock,
)
from foldwright.models.fold.network.distogram import DistogramHead
from foldwright.models.fold.network.fold_network import FoldNetwork
from foldwright.models.fold.network.gated_transition import GatedTransition
from foldwright.models.fold.network.grid_attention import GridAttention
from foldwright.models.fold.network.msa import (
    LastMSABlock,
    MSABlock,
    MSAPairAttention,
    OuterProductMean,
)
from foldwright.models.fold.network.noise_embedding import StoredNoiseFeatures
from foldwright.models.fold.network.pairformer import PairBlock, PairformerBlock
from foldwright.models.fold.network.template import SingleTemplate, TemplateEmbedding
from foldwright.models.fold.network.trunk import Trunk
from foldwright.models.fold.weights.naming import (
    Columns,
    Rows,
    Special,
    Suffix,
)
from foldwright.models.fold.weights.transformer_names import (
    atom_transformer,
    norm_per_block,
    shared_norm,
    token_transformer,
)
from foldwright.nn.triangle import TriangleMultiplication

_SWIGLU = Rows(("swiglu.linear_a", "swiglu.linear_b"))
_ATTENTION_OUT = ("", {"linear": "mha.linear_o", "gate": "linear_ada_out"})
_LOGITS = "attention_pair_bias.linear_z.weight"
_REFERENCE = "ref_atom_feature_embedder"

TABLES: Mapping[type[nn.Module], Mapping[str, Suffix]] = {
    GatedTransition: {"layer_norm": "layer_norm", "up": _SWIGLU, "down": "linear_out"},
    GridAttention: {
        "layer_norm": "layer_norm",
        "pair_bias": "linear_z",
        "query": "mha.linear_q",
        "key": "mha.linear_k",
        "value": "mha.linear_v",
        "gate": "mha.linear_g",
        "out": "mha.linear_o",
    },
    TriangleMultiplication: {
        name: name
        for name in (
            *("linear_a_p", "linear_a_g", "linear_b_p", "linear_b_g"),
            *("linear_g", "linear_z", "layer_norm_in", "layer_norm_out"),
        )
    },
    OuterProductMean: {
        "layer_norm": "layer_norm",
        "left": "linear_1",
        "right": "linear_2",
        "out": "linear_out",
    },
    MSAPairAttention: {
        "layer_norm": "layer_norm_m",
        "pair_norm": "layer_norm_z",
        "pair_logits": "linear_z",
        "value": "linear_v",
        "gate": "linear_g",
        "out": "linear_o",
    },
    PairBlock: {
        "outgoing": "tri_mul_out",
        "incoming": "tri_mul_in",
        "rows": "tri_att_start",
        "columns": "tri_att_end",
        "transition": "pair_transition",
    },
    PairformerBlock: {
        "pair": "pair_stack",
        "logits_norm": "attn_pair_bias.layer_norm_z",
        "logits": "attn_pair_bias.linear_z",
        "attention": "attn_pair_bias",
        "transition": "single_transition",
    },
    MSABlock: {
        "outer_product": "outer_product_mean",
        "attention": "msa_att_row",
        "transition": "msa_transition",
        "pair": "pair_stack",
    },
    LastMSABlock: {"outer_product": "outer_product_mean", "pair": "pair_stack"},
    GatedHeads: {
        "query": "linear_q",
        "key": "linear_k",
        "value": "linear_v",
        "gate": "linear_g",
    },
    TokenAttention: {"layer_norm": "layer_norm_a", "heads": "mha", "out": "mha.linear_o"},
    ConditionedAttention: {"norm": "layer_norm_a", "heads": "mha", "out": _ATTENTION_OUT},
    WindowAttention: {
        "query_norm": "layer_norm_a_q",
        "key_norm": "layer_norm_a_k",
        "heads": "mha",
        "out": _ATTENTION_OUT,
    },
    AdaptiveLayerNorm: {
        "condition_norm": "layer_norm_s",
        "scale": "linear_g",
        "shift": "linear_s",
    },
    ConditionedTransition: {
        "norm": "layer_norm",
        "up": _SWIGLU,
        "out": ("", {"linear": "linear_out", "gate": "linear_g"}),
    },
    TokenBlock: {"attention": "attention_pair_bias", "transition": "conditioned_transition"},
    AtomBlock: {"attention": "attention_pair_bias", "transition": "conditioned_transition"},
    AtomReference: {
        "positions": f"{_REFERENCE}.linear_ref_pos",
        "mask": f"{_REFERENCE}.linear_ref_mask",
        "element": Columns(f"{_REFERENCE}.linear_ref_element", "element"),
        "charge": f"{_REFERENCE}.linear_ref_charge",
        "name": f"{_REFERENCE}.linear_ref_atom_chars",
        "pair_queries": "linear_l",
        "pair_keys": "linear_m",
        "offsets": f"{_REFERENCE}.linear_ref_offset",
        "distances": f"{_REFERENCE}.linear_inv_sq_dists",
        "same_space": f"{_REFERENCE}.linear_valid_mask",
        "pair_mlp": "pair_mlp.{odd}",
    },
    AtomEncoder: {
        "reference": "",
        "transformer": "atom_transformer",
        "aggregate": "linear_q.0",
    },
    TrunkToAtoms: {
        "single_norm": "layer_norm_s",
        "single": "linear_s",
        "pair_norm": "layer_norm_z",
        "pair": "linear_z",
        "positions": "linear_r",
    },
    AtomDecoder: {
        "broadcast": "linear_q_in",
        "transformer": "atom_transformer",
        "layer_norm": "layer_norm",
        "out": "linear_q_out",
    },
    SingleTemplate: {
        "distances": "template_pair_embedder.dgram_linear",
        "has_distance": "template_pair_embedder.pseudo_beta_mask_linear",
        "column_class": Columns("template_pair_embedder.aatype_linear_2", "classes"),
        "row_class": Columns("template_pair_embedder.aatype_linear_1", "classes"),
        "direction_x": "template_pair_embedder.x_linear",
        "direction_y": "template_pair_embedder.y_linear",
        "direction_z": "template_pair_embedder.z_linear",
        "has_direction": "template_pair_embedder.backbone_mask_linear",
        "pair": "template_pair_embedder.linear_z",
        "pair_norm": "template_pair_embedder.layer_norm_z",
        "blocks": "template_pair_stack.blocks.{index}",
        "out_norm": "template_pair_stack.layer_norm",
    },
    TemplateEmbedding: {"single": "", "out": "linear_t"},
    Trunk: {
        "rows_single": Columns("input_embedder.linear_z_i", "target"),
        "columns_single": Columns("input_embedder.linear_z_j", "target"),
        "previous_pair_norm": "layer_norm_z",
        "previous_pair": "linear_z",
        "relative": "input_embedder.linear_relpos",
        "bonds": "input_embedder.linear_token_bonds",
        "templates": "template_embedder",
        "msa": Columns("msa_module_embedder.linear_m", "letters"),
        "msa_target": Columns("msa_module_embedder.linear_s_input", "target"),
        "msa_blocks": "msa_module.blocks.{index}",
        "single": Columns("input_embedder.linear_s", "target"),
        "previous_single_norm": "layer_norm_s",
        "previous_single": "linear_s",
        "blocks": "pairformer_stack.blocks.{index}",
    },
    StoredNoiseFeatures: {"weight": "w", "bias": "b"},
    DiffusionHead: {
        "pair_norm": "diffusion_conditioning.layer_norm_z",
        "pair": "diffusion_conditioning.linear_z",
        "pair_transitions": "diffusion_conditioning.transition_z.{index}",
        "single_norm": Columns("diffusion_conditioning.layer_norm_s", "single and target"),
        "single": Columns("diffusion_conditioning.linear_s", "single and target"),
        "noise_features": "diffusion_conditioning.fourier_emb",
        "noise_norm": "diffusion_conditioning.layer_norm_n",
        "noise": "diffusion_conditioning.linear_n",
        "single_transitions": "diffusion_conditioning.transition_s.{index}",
        "encoder": "atom_attn_enc",
        "trunk_to_atoms": "atom_attn_enc.noisy_position_embedder",
        "token_norm": "layer_norm_s",
        "token": "linear_s",
        "transformer": "diffusion_transformer",
        "out_norm": "layer_norm_a",
        "decoder": "atom_attn_dec",
    },
    DistogramHead: {"half_logits": "linear"},
    ConfidenceHead: {
        "columns_target": Columns("pairformer_embedding.linear_j", "target"),
        "rows_target": Columns("pairformer_embedding.linear_i", "target"),
        "distances": "pairformer_embedding.linear_distance",
        "blocks": "pairformer_embedding.pairformer_stack.blocks.{index}",
        "distance_norm": "pde.layer_norm",
        "distance_half_logits": "pde.linear",
        "aligned_norm": "pae.layer_norm",
        "aligned_logits": "pae.linear",
        "lddt_norm": "plddt.layer_norm",
        "lddt_logits": "plddt.linear",
        "resolved_norm": "experimentally_resolved.layer_norm",
        "resolved_logits": "experimentally_resolved.linear",
    },
    FoldNetwork: {
        "input_encoder": "input_embedder.atom_attn_enc",
        "trunk": "",
        "diffusion": "diffusion_module",
        "confidence": "aux_heads",
        "distogram": "aux_heads.distogram",
    },
}


_SHARED = shared_norm("layer_norm_z.weight", _LOGITS)
_PER_BLOCK = norm_per_block("attention_pair_bias.layer_norm_z.weight", _LOGITS)

SPECIAL: Mapping[type[nn.Module], Special] = {
    DiffusionTransformer: token_transformer(_SHARED),
    AtomTransformer: atom_transformer(_SHARED),
}
PREVIEW_SPECIAL: Mapping[type[nn.Module], Special] = {
    **SPECIAL,
    DiffusionTransformer: token_transformer(_PER_BLOCK),
}
"""In the preview weights every block of the token transformer has a norm of its own."""
