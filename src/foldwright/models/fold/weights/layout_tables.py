"""Names of the records that hold the parameters of each class.

A table maps the children of a class to what their records' path has in addition.
"""

from collections.abc import Mapping

from torch import nn

from foldwright.models.fold.network.adaptive import (
    AdaptiveLayerNorm,
    AdaptiveOutput,
    ConditionedTransition,
)
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
    SuperBlock,
    TokenBlock,
)
from foldwright.models.fold.network.distogram import DistogramHead
from foldwright.models.fold.network.fold_network import FoldNetwork
from foldwright.models.fold.network.gated_transition import GatedTransition
from foldwright.models.fold.network.grid_attention import GridAttention
from foldwright.models.fold.network.msa import MSABlock, MSAPairAttention, OuterProductMean
from foldwright.models.fold.network.pairformer import PairBlock, PairformerBlock
from foldwright.models.fold.network.template import SingleTemplate, TemplateEmbedding
from foldwright.models.fold.network.trunk import Trunk

Suffix = str | tuple[str, Mapping[str, str]]
"""Addition to the path; with the child's own table where its names differ from its class's.

`{module}` is the module that the stack belongs to, `{index}` and `{number}` count the members of
a list from 0 and from 1; other lists are one record with a leading axis.
"""

_NORM_FIRST = {"layer_norm": "ffw_layer_norm", "up": "ffw_transition1", "down": "ffw_transition2"}
_NO_LAYERS = "/__layer_stack_no_per_layer"
_LAYERS = "/__layer_stack_with_per_layer"

TABLES: dict[type[nn.Module], Mapping[str, Suffix]] = {
    GatedTransition: {
        "layer_norm": "/input_layer_norm",
        "up": "/transition1",
        "down": "/transition2",
    },
    GridAttention: {
        "layer_norm": "/act_norm",
        "pair_bias": "/pair_bias_projection",
        "query": "/q_projection",
        "key": "/k_projection",
        "value": "/v_projection",
        "gate": "/gating_query",
        "out": "/output_projection",
    },
    OuterProductMean: {
        "layer_norm": "/layer_norm_input",
        "left": "/left_projection",
        "right": "/right_projection",
        "out": "",
    },
    MSAPairAttention: {
        "layer_norm": "/act_norm",
        "pair_norm": "/pair_norm",
        "pair_logits": "/pair_logits",
        "value": "/v_projection",
        "gate": "/gating_query",
        "out": "/output_projection",
    },
    PairBlock: {
        "outgoing": "/triangle_multiplication_outgoing",
        "incoming": "/triangle_multiplication_incoming",
        "rows": "/pair_attention1",
        "columns": "/pair_attention2",
        "transition": "/pair_transition",
    },
    PairformerBlock: {
        "pair": "",
        "logits_norm": "/single_pair_logits_norm",
        "logits": "/single_pair_logits_projection",
        "attention": "/single_attention_",
        "transition": "/single_transition",
    },
    MSABlock: {
        "outer_product": "/outer_product_mean",
        "attention": "/msa_attention1",
        "transition": "/msa_transition",
        "pair": "",
    },
    GatedHeads: {
        "query": "q_projection",
        "key": "k_projection",
        "value": "v_projection",
        "gate": "gating_query",
    },
    TokenAttention: {"layer_norm": "layer_norm", "heads": "", "out": "transition2"},
    ConditionedAttention: {"norm": "", "heads": "", "out": ""},
    WindowAttention: {"query_norm": "q", "key_norm": "k", "heads": "", "out": ""},
    AdaptiveLayerNorm: {
        "condition_norm": "single_cond_layer_norm",
        "scale": "single_cond_scale",
        "shift": "single_cond_bias",
    },
    AdaptiveOutput: {"linear": "transition2", "gate": "adaptive_zero_cond"},
    ConditionedTransition: {"norm": "ffw_", "up": "ffw_transition1", "out": "ffw_"},
    DiffusionTransformer: {
        "pair_norm": "/pair_input_layer_norm",
        "super_blocks": _LAYERS,
    },
    SuperBlock: {"pair_logits": "/pair_logits_projection", "blocks": _LAYERS + "/{module}"},
    TokenBlock: {"attention": "", "transition": ""},
    AtomBlock: {"attention": "", "transition": ""},
    AtomTransformer: {
        "pair_norm": "/pair_input_layer_norm",
        "pair_logits": "/pair_logits_projection",
        "blocks": _LAYERS + "/{module}",
    },
    AtomReference: {
        "positions": "embed_ref_pos",
        "mask": "embed_ref_mask",
        "element": "embed_ref_element",
        "charge": "embed_ref_charge",
        "name": "embed_ref_atom_name",
        "pair_queries": "single_to_pair_cond_row_1",
        "pair_keys": "single_to_pair_cond_col_1",
        "offsets": "embed_pair_offsets_1",
        "distances": "embed_pair_distances_1",
        "same_space": "embed_pair_offsets_valid",
        "pair_mlp": "pair_mlp_{number}",
    },
    AtomEncoder: {
        "reference": "",
        "transformer": "atom_transformer_encoder",
        "aggregate": "project_atom_features_for_aggr",
    },
    TrunkToAtoms: {
        "single_norm": "lnorm_trunk_single_cond",
        "single": "embed_trunk_single_cond",
        "pair_norm": "lnorm_trunk_pair_cond",
        "pair": "embed_trunk_pair_cond",
        "positions": "atom_positions_to_features",
    },
    AtomDecoder: {
        "broadcast": "project_token_features_for_broadcast",
        "transformer": "atom_transformer_decoder",
        "layer_norm": "atom_features_layer_norm",
        "out": "atom_features_to_position_update",
    },
    SingleTemplate: {
        "distances": "/template_pair_embedding_0",
        "has_distance": "/template_pair_embedding_1",
        "column_class": "/template_pair_embedding_2",
        "row_class": "/template_pair_embedding_3",
        "direction_x": "/template_pair_embedding_4",
        "direction_y": "/template_pair_embedding_5",
        "direction_z": "/template_pair_embedding_6",
        "has_direction": "/template_pair_embedding_7",
        "pair": "/template_pair_embedding_8",
        "pair_norm": "/query_embedding_norm",
        "blocks": _NO_LAYERS + "/template_embedding_iteration",
        "out_norm": "/output_layer_norm",
    },
    TemplateEmbedding: {"single": "/single_template_embedding", "out": "/output_linear"},
    Trunk: {
        "rows_single": "/left_single",
        "columns_single": "/right_single",
        "previous_pair_norm": "/prev_embedding_layer_norm",
        "previous_pair": "/prev_embedding",
        "relative": "/~_relative_encoding/position_activations",
        "bonds": "/bond_embedding",
        "templates": "/template_embedding",
        "msa": "/msa_activations",
        "msa_target": "/extra_msa_target_feat",
        "msa_blocks": _NO_LAYERS + "/msa_stack",
        "single": "/single_activations",
        "previous_single_norm": "/prev_single_embedding_layer_norm",
        "previous_single": "/prev_single_embedding",
        "blocks": _NO_LAYERS + "_1/trunk_pairformer",
    },
    DiffusionHead: {
        "pair_norm": "/pair_cond_initial_norm",
        "pair": "/pair_cond_initial_projection",
        "pair_transitions": ("/pair_transition_{index}", _NORM_FIRST),
        "single_norm": "/single_cond_initial_norm",
        "single": "/single_cond_initial_projection",
        "noise_norm": "/noise_embedding_initial_norm",
        "noise": "/noise_embedding_initial_projection",
        "single_transitions": ("/single_transition_{index}", _NORM_FIRST),
        "encoder": "/diffusion_",
        "trunk_to_atoms": "/diffusion_",
        "token_norm": "/single_cond_embedding_norm",
        "token": "/single_cond_embedding_projection",
        "transformer": "/transformer",
        "out_norm": "/output_norm",
        "decoder": "/diffusion_",
    },
    DistogramHead: {"half_logits": "/half_logits"},
    ConfidenceHead: {
        "columns_target": "/~_embed_features/left_target_feat_project",
        "rows_target": "/~_embed_features/right_target_feat_project",
        "distances": "/~_embed_features/distogram_feat_project",
        "blocks": _NO_LAYERS + "/confidence_pairformer",
        "distance_norm": "/logits_ln",
        "distance_half_logits": "/left_half_distance_logits",
        "aligned_norm": "/pae_logits_ln",
        "aligned_logits": "/pae_logits",
        "lddt_norm": "/plddt_logits_ln",
        "lddt_logits": "/plddt_logits",
        "resolved_norm": "/experimentally_resolved_ln",
        "resolved_logits": "/experimentally_resolved_logits",
    },
    FoldNetwork: {
        "input_encoder": "diffuser/evoformer_conditioning_",
        "trunk": "diffuser/evoformer",
        "diffusion": "diffuser/~/diffusion_head",
        "confidence": "diffuser/confidence_head",
        "distogram": "diffuser/distogram_head",
    },
}
