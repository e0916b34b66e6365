"""Names of the tensors in Protenix checkpoints: a table per class of the network."""

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

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
from foldwright.models.fold.network.confidence import ClampedNorm, ConfidenceHead
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
from foldwright.models.fold.weights.assembly import Assembly
from foldwright.models.fold.weights.naming import (
    Columns,
    Found,
    Naming,
    Rows,
    Special,
    Suffix,
    joined,
)
from foldwright.models.fold.weights.transformer_names import (
    atom_transformer,
    norm_per_block,
    token_transformer,
)
from foldwright.nn.triangle import TriangleMultiplication

_ATTENTION = "attention_pair_bias"
_PAIR_NAMES = norm_per_block(
    f"{_ATTENTION}.layernorm_z.weight", f"{_ATTENTION}.linear_nobias_z.weight"
)
_ATTENTION_OUT = ("", {"linear": "attention.linear_o", "gate": "linear_a_last"})
_CONDITIONING = "diffusion_conditioning"

TABLES: Mapping[type[nn.Module], Mapping[str, Suffix]] = {
    GatedTransition: {
        "layer_norm": "layernorm1",
        "up": Rows(("linear_no_bias_a", "linear_no_bias_b")),
        "down": "linear_no_bias",
    },
    GridAttention: {
        "layer_norm": "layer_norm",
        "pair_bias": "linear",
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
        "layer_norm": "layernorm_m",
        "pair_norm": "layernorm_z",
        "pair_logits": "linear_no_bias_z",
        "value": "linear_no_bias_mv",
        "gate": "linear_no_bias_mg",
        "out": "linear_no_bias_out",
    },
    PairBlock: {
        "outgoing": "tri_mul_out",
        "incoming": "tri_mul_in",
        "rows": "tri_att_start",
        "columns": "tri_att_end",
        "transition": "pair_transition",
    },
    PairformerBlock: {
        "pair": "",
        "logits_norm": f"{_ATTENTION}.layernorm_z",
        "logits": f"{_ATTENTION}.linear_nobias_z",
        "attention": _ATTENTION,
        "transition": "single_transition",
    },
    MSABlock: {
        "outer_product": "outer_product_mean_msa",
        "attention": "msa_stack.msa_pair_weighted_averaging",
        "transition": "msa_stack.transition_m",
        "pair": "pair_stack",
    },
    LastMSABlock: {"outer_product": "outer_product_mean_msa", "pair": "pair_stack"},
    GatedHeads: {
        "query": "linear_q",
        "key": "linear_k",
        "value": "linear_v",
        "gate": "linear_g",
    },
    TokenAttention: {
        "layer_norm": "layernorm_a",
        "heads": "attention",
        "out": "attention.linear_o",
    },
    ConditionedAttention: {"norm": "layernorm_a", "heads": "attention", "out": _ATTENTION_OUT},
    WindowAttention: {
        "query_norm": "layernorm_a",
        "key_norm": "layernorm_kv",
        "heads": "attention",
        "out": _ATTENTION_OUT,
    },
    AdaptiveLayerNorm: {
        "condition_norm": "layernorm_s",
        "scale": "linear_s",
        "shift": "linear_nobias_s",
    },
    ConditionedTransition: {
        "norm": "adaln",
        "up": Rows(("linear_nobias_a1", "linear_nobias_a2")),
        "out": ("", {"linear": "linear_nobias_b", "gate": "linear_s"}),
    },
    TokenBlock: {"attention": _ATTENTION, "transition": "conditioned_transition_block"},
    AtomBlock: {"attention": _ATTENTION, "transition": "conditioned_transition_block"},
    AtomReference: {
        "positions": "linear_no_bias_ref_pos",
        "charge": "linear_no_bias_ref_charge",
        "pair_queries": "linear_no_bias_cl",
        "pair_keys": "linear_no_bias_cm",
        "offsets": "linear_no_bias_d",
        "distances": "linear_no_bias_invd",
        "same_space": "linear_no_bias_v",
        "pair_mlp": "small_mlp.{odd}",
    },
    AtomEncoder: {
        "reference": "",
        "transformer": "atom_transformer.diffusion_transformer",
        "aggregate": "linear_no_bias_q",
    },
    TrunkToAtoms: {
        "single_norm": "layernorm_s",
        "single": "linear_no_bias_s",
        "pair_norm": "layernorm_z",
        "pair": "linear_no_bias_z",
        "positions": "linear_no_bias_r",
    },
    AtomDecoder: {
        "broadcast": "linear_no_bias_a",
        "transformer": "atom_transformer.diffusion_transformer",
        "layer_norm": "layernorm_q",
        "out": "linear_no_bias_out",
    },
    SingleTemplate: {
        "pair": "linear_no_bias_z",
        "pair_norm": "layernorm_z",
        "blocks": "pairformer_stack.blocks.{index}",
        "out_norm": "layernorm_v",
    },
    TemplateEmbedding: {"single": "", "out": "linear_no_bias_u"},
    Trunk: {
        "previous_pair_norm": "layernorm_z_cycle",
        "previous_pair": "linear_no_bias_z_cycle",
        "relative": "relative_position_encoding.linear_no_bias",
        "bonds": "linear_no_bias_token_bond",
        "templates": "template_embedder",
        "msa": Columns("msa_module.linear_no_bias_m", "letters"),
        "msa_target": Columns("msa_module.linear_no_bias_s", "target"),
        "msa_blocks": "msa_module.blocks.{index}",
        "single": Columns("linear_no_bias_sinit", "target"),
        "previous_single_norm": "layernorm_s",
        "previous_single": "linear_no_bias_s",
        "blocks": "pairformer_stack.blocks.{index}",
    },
    StoredNoiseFeatures: {"weight": "w", "bias": "b"},
    DiffusionHead: {
        "relative": f"{_CONDITIONING}.relpe.linear_no_bias",
        "pair_norm": f"{_CONDITIONING}.layernorm_z",
        "pair": f"{_CONDITIONING}.linear_no_bias_z",
        "pair_transitions": f"{_CONDITIONING}.transition_z{{number}}",
        "single_norm": Columns(f"{_CONDITIONING}.layernorm_s", "single and target"),
        "single": Columns(f"{_CONDITIONING}.linear_no_bias_s", "single and target"),
        "noise_features": f"{_CONDITIONING}.fourier_embedding",
        "noise_norm": f"{_CONDITIONING}.layernorm_n",
        "noise": f"{_CONDITIONING}.linear_no_bias_n",
        "single_transitions": f"{_CONDITIONING}.transition_s{{number}}",
        "encoder": "atom_attention_encoder",
        "trunk_to_atoms": "atom_attention_encoder",
        "token_norm": "layernorm_s",
        "token": "linear_no_bias_s",
        "transformer": "diffusion_transformer",
        "out_norm": "layernorm_a",
        "decoder": "atom_attention_decoder",
    },
    DistogramHead: {"half_logits": "linear"},
    ClampedNorm: {"layer_norm": ""},
    ConfidenceHead: {
        "columns_target": Columns("linear_no_bias_s1", "target"),
        "rows_target": Columns("linear_no_bias_s2", "target"),
        "distances": "linear_no_bias_d",
        "lengths": "linear_no_bias_d_wo_onehot",
        "single_norm": "input_strunk_ln",
        "blocks": "pairformer_stack.blocks.{index}",
        "distance_norm": "pde_ln",
        "distance_half_logits": "linear_no_bias_pde",
        "aligned_norm": "pae_ln",
        "aligned_logits": "linear_no_bias_pae",
        "lddt_norm": "plddt_ln",
        "resolved_norm": "resolved_ln",
    },
    FoldNetwork: {
        "input_encoder": "input_embedder.atom_attention_encoder",
        "trunk": "",
        "diffusion": "diffusion_module",
        "confidence": "confidence_head",
        "distogram": "distogram_head",
    },
}


def _reference(module: nn.Module, name: str, path: str, naming: Naming) -> Found:
    """Theirs has one matrix for presence, element and letters; elements count from hydrogen."""
    yield from naming.children(module, name, path, TABLES[AtomReference])
    source = joined(path, "linear_no_bias_f.weight")
    # Our first element is the unknown one, which is the last of theirs.
    parts = {"mask": [0], "element": [128, *range(1, 128)], "name": range(129, 385)}
    for child, places in parts.items():
        yield joined(name, child, "weight"), _part(source, places, of=385)


def _template(module: nn.Module, name: str, path: str, naming: Naming) -> Found:
    """Theirs has one matrix for all features of a pair."""
    yield from naming.children(module, name, path, TABLES[SingleTemplate])
    source, classes = joined(path, "linear_no_bias_a.weight"), naming.orders["classes"]
    kinds = len(classes)
    parts = {
        "distances": range(39),
        "has_distance": [39],
        "column_class": [40 + place for place in classes],
        "row_class": [40 + kinds + place for place in classes],
        **{f"direction_{axis}": [40 + 2 * kinds + i] for i, axis in enumerate("xyz")},
        "has_direction": [43 + 2 * kinds],
    }
    for child, places in parts.items():
        yield joined(name, child, "weight"), _part(source, places, of=44 + 2 * kinds)


def _trunk(module: nn.Module, name: str, path: str, naming: Naming) -> Found:
    """Their pairs start from the projected single representation; ours join both matrices."""
    yield from naming.children(module, name, path, TABLES[Trunk])
    first, order = joined(path, "linear_no_bias_sinit.weight"), naming.orders["target"]
    for child, suffix in (("rows_single", "zinit1"), ("columns_single", "zinit2")):
        second = joined(path, f"linear_no_bias_{suffix}.weight")
        yield joined(name, child, "weight"), _product(second, first, order)


def _scores(module: nn.Module, name: str, path: str, naming: Naming) -> Found:
    """Their scores of atoms have one matrix for every slot."""
    yield from naming.children(module, name, path, TABLES[ConfidenceHead])
    for child, suffix in (("lddt_logits", "plddt_weight"), ("resolved_logits", "resolved_weight")):
        made = Assembly((joined(path, suffix),), _slots_to_rows)
        yield joined(name, child, "weight"), made


def _part(name: str, places: Sequence[int], *, of: int) -> Assembly:
    """Take some columns of a matrix with `of` columns."""

    def make(tensor: Tensor) -> Tensor:
        if tensor.shape[1] != of:
            raise ValueError(f"has {tensor.shape[1]} columns, expected {of}")
        return tensor[:, list(places)]

    return Assembly((name,), make)


def _product(second: str, first: str, order: Sequence[int]) -> Assembly:
    """One matrix for two linear maps one after the other, columns in our order."""

    def make(after: Tensor, before: Tensor) -> Tensor:
        if before.shape[1] != len(order):
            raise ValueError(f"has {before.shape[1]} columns, expected {len(order)}")
        return (after.double() @ before[:, list(order)].double()).float()

    return Assembly((second, first), make)


def _slots_to_rows(tensor: Tensor) -> Tensor:
    """Bring (slots, channels, bins) to a matrix with a row for every bin of every slot."""
    return tensor.transpose(1, 2).flatten(0, 1)


SPECIAL: Mapping[type[nn.Module], Special] = {
    AtomReference: _reference,
    SingleTemplate: _template,
    Trunk: _trunk,
    ConfidenceHead: _scores,
    DiffusionTransformer: token_transformer(_PAIR_NAMES),
    AtomTransformer: atom_transformer(_PAIR_NAMES),
}
