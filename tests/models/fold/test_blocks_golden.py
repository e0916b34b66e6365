"""Layers and blocks against the original's numbers, and proof that a wrong layer is found."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from foldwright.models.fold.network.adaptive import (
    AdaptiveLayerNorm,
    AdaptiveOutput,
    ConditionedTransition,
)
from foldwright.models.fold.network.attention import (
    ConditionedAttention,
    TokenAttention,
    WindowAttention,
    hide_keys,
    window_logits,
)
from foldwright.models.fold.network.diffusion_transformer import DiffusionTransformer
from foldwright.models.fold.network.gated_transition import GatedTransition
from foldwright.models.fold.network.grid_attention import GridAttention
from foldwright.models.fold.network.msa import MSABlock, MSAPairAttention, OuterProductMean
from foldwright.models.fold.network.pairformer import PairBlock, PairformerBlock
from foldwright.models.fold.network.workspace import Workspace
from foldwright.nn.triangle import TriangleMultiplication
from tests.models.fold.golden_files import FoldGolden, LoadGolden, relative_error

LAYER, BLOCK = 2e-6, 1e-5


def transition(golden: FoldGolden) -> tuple[nn.Module, Callable[[nn.Module], float]]:
    x = golden.input("act")
    module = GatedTransition(x.shape[-1], golden.meta["num_intermediate_factor"])
    golden.load(module, "transition")
    return module, lambda m: relative_error(m(x), golden.result("y"))


def triangle(golden: FoldGolden) -> tuple[nn.Module, Callable[[nn.Module], float]]:
    x, mask = golden.input("act"), golden.mask("mask")
    direction = "outgoing" if golden.meta["equation"] == "ikc,jkc->ijc" else "incoming"
    module = TriangleMultiplication(x.shape[-1], x.shape[-1], direction=direction)
    golden.load(module, "triangle_multiplication")
    where = mask if golden.meta["n_pad"] else None
    return module, lambda m: relative_error(m(x[None], mask[None])[0], golden.result("y"), where)


def grid(golden: FoldGolden) -> tuple[nn.Module, Callable[[nn.Module], float]]:
    x, mask = golden.input("act"), golden.mask("mask")
    module = GridAttention(
        x.shape[-1], num_heads=golden.meta["num_head"], columns=golden.meta["transpose"]
    )
    golden.load(module, "pair_attention")
    # Rows whose keys are all hidden are up to the kernel; asymmetric masks have none of them.
    where = mask if golden.meta.get("n_pad") else None
    return module, lambda m: relative_error(m(x, mask), golden.result("y"), where)


def outer_product(golden: FoldGolden) -> tuple[nn.Module, Callable[[nn.Module], float]]:
    x, mask = golden.input("act"), golden.mask("mask")
    sizes = (golden.meta["num_outer_channel"], golden.meta["num_output_channel"])
    module = OuterProductMean(x.shape[-1], *sizes)
    golden.load(module, "outer_product_mean")
    return module, lambda m: relative_error(m(x, mask), golden.result("y"))


def msa_attention(golden: FoldGolden) -> tuple[nn.Module, Callable[[nn.Module], float]]:
    x, mask, pair = golden.input("act"), golden.mask("mask"), golden.input("pair_act")
    module = MSAPairAttention(x.shape[-1], pair.shape[-1], num_heads=golden.meta["num_head"])
    golden.load(module, "msa_attention")
    where = mask.any(0)
    return module, lambda m: relative_error(
        m(x, mask, pair)[:, where], golden.result("y")[:, where]
    )


def adaptive(golden: FoldGolden) -> tuple[nn.Module, Callable[[nn.Module], float]]:
    x, s = golden.input("x"), golden.input("single_cond")
    module = nn.ModuleList(
        [
            golden.load(AdaptiveLayerNorm(x.shape[-1], s.shape[-1]), "a"),
            golden.load(AdaptiveOutput(x.shape[-1], golden.meta["num_channels"], s.shape[-1]), "c"),
        ]
    )

    def error(both: nn.Module) -> float:
        norm, out = both
        return max(
            relative_error(norm(x, *norm.modulation(s)), golden.result("cond")),
            relative_error(out(x, out.opening(s)), golden.result("zero_cond")),
        )

    return module, error


def conditioned_transition(golden: FoldGolden) -> tuple[nn.Module, Callable[[nn.Module], float]]:
    x, s = golden.input("x"), golden.input("single_cond")
    module = ConditionedTransition(x.shape[-1], s.shape[-1], factor=golden.meta["factor_cond"])
    golden.load(module, "t_")
    return module, lambda m: relative_error(m(x, m.modulation(s)), golden.result("cond"))


def self_attention(golden: FoldGolden) -> tuple[nn.Module, Callable[[nn.Module], float]]:
    x, s, mask = golden.input("x"), golden.input("single_cond"), golden.mask("mask")
    module = ConditionedAttention(x.shape[-1], s.shape[-1], num_heads=golden.meta["num_head"])
    golden.load(module, "s_")
    logits = golden.input("pair_logits")
    return module, lambda m: relative_error(
        m(x, m.modulation(s), hide_keys(logits, mask)), golden.result("cond")
    )


def plain_self_attention(golden: FoldGolden) -> tuple[nn.Module, Callable[[nn.Module], float]]:
    x, mask = golden.input("x"), golden.mask("mask")
    logits = torch.zeros_like(golden.input("pair_logits"))  # the original was called without
    sizes = golden.meta["uncond"]
    module = TokenAttention(
        x.shape[-1],
        num_heads=golden.meta["num_head"],
        key_width=sizes["key_dim"],
        value_width=sizes["value_dim"],
    )
    golden.load(module, "u_")
    return module, lambda m: relative_error(m(x, hide_keys(logits, mask)), golden.result("uncond"))


def cross_attention(golden: FoldGolden) -> tuple[nn.Module, Callable[[nn.Module], float]]:
    x_q, x_k = golden.input("x_q"), golden.input("x_k")
    s_q, s_k = golden.input("single_cond_q"), golden.input("single_cond_k")
    mask_q, mask_k = golden.mask("mask_q"), golden.mask("mask_k")
    module = WindowAttention(
        x_q.shape[-1],
        s_q.shape[-1],
        num_heads=golden.meta["num_head"],
        key_width=golden.meta["key_dim"],
        value_width=golden.meta["value_dim"],
    )
    golden.load(module, "x_")
    logits = window_logits(golden.input("pair_logits"), mask_q, mask_k)
    return module, lambda m: relative_error(
        m(x_q, x_k, m.modulation(s_q, s_k), logits, lambda keys: keys), golden.result("y"), mask_q
    )


def transformer(golden: FoldGolden) -> tuple[nn.Module, Callable[[nn.Module], float]]:
    x, s, pair = golden.input("act"), golden.input("single_cond"), golden.input("pair_cond")
    mask, size = golden.mask("mask"), golden.meta["super_block_size"]
    module = DiffusionTransformer(
        x.shape[-1],
        s.shape[-1],
        pair.shape[-1],
        num_heads=golden.meta["num_head"],
        num_super_blocks=golden.meta["num_blocks"] // size,
        super_block_size=size,
    )
    golden.load(module, "transformer")
    return module, lambda m: relative_error(
        m(x[None], s, m.logits(pair, mask, Workspace()))[0], golden.result("y"), mask
    )


def msa_block(golden: FoldGolden) -> tuple[nn.Module, Callable[[nn.Module], float]]:
    msa, pair = golden.input("msa"), golden.input("pair")
    mask, pair_mask = golden.mask("msa_mask"), golden.mask("pair_mask")
    module = MSABlock(
        msa.shape[-1],
        pair.shape[-1],
        outer_channels=golden.meta["num_outer_channel"],
        msa_heads=golden.meta["msa_heads"],
        pair_heads=golden.meta["pair_heads"],
    )
    golden.load(module, "msa_stack")
    real = pair_mask.any(0)

    def error(block: nn.Module) -> float:
        new_msa, new_pair = block(msa, mask, pair, pair_mask)
        return max(
            relative_error(new_msa[:, real], golden.result("msa")[:, real]),
            relative_error(new_pair, golden.result("pair"), pair_mask),
        )

    return module, error


def pairformer(golden: FoldGolden) -> tuple[nn.Module, Callable[[nn.Module], float]]:
    pair, single, pair_mask = golden.input("pair"), golden.input("single"), golden.mask("pair_mask")
    mask = golden.mask("seq_mask")
    module = PairformerBlock(
        pair.shape[-1],
        single.shape[-1],
        pair_heads=golden.meta["pair_heads"],
        single_heads=golden.meta["single_heads"],
    )
    golden.load(module, "pairformer")

    def error(block: nn.Module) -> float:
        new_pair, new_single = block(pair, single, mask)
        return max(
            relative_error(new_pair, golden.result("pair"), pair_mask),
            relative_error(new_single, golden.result("single"), mask),
        )

    return module, error


def pair_block(golden: FoldGolden) -> tuple[nn.Module, Callable[[nn.Module], float]]:
    pair, mask = golden.input("pair"), golden.mask("pair_mask")
    module = PairBlock(pair.shape[-1], num_heads=golden.meta["pair_heads"], factor=4)
    golden.load(module, "pairformer")
    return module, lambda m: relative_error(m(pair, mask), golden.result("pair"), mask)


CASES = {
    "transition_s2": (transition, LAYER),
    "transition_s3": (transition, LAYER),
    "trimul_out_s4": (triangle, LAYER),
    "trimul_in_s5": (triangle, LAYER),
    "trimul_out_s6": (triangle, LAYER),
    "gridattn_row_s7": (grid, LAYER),
    "gridattn_col_s8": (grid, LAYER),
    "gridattn_row_s9": (grid, LAYER),
    "gridattn_col_s10": (grid, LAYER),
    "gridattn_asym_row_s11": (grid, LAYER),
    "gridattn_asym_col_s12": (grid, LAYER),
    "opm_s13": (outer_product, LAYER),
    "opm_s14": (outer_product, LAYER),
    "msa_attention_s15": (msa_attention, LAYER),
    "msa_attention_s16": (msa_attention, LAYER),
    "adaln_s20": (adaptive, LAYER),
    "diff_transition_s20": (conditioned_transition, LAYER),
    "self_attention_s20": (self_attention, LAYER),
    "cross_attention_s20": (cross_attention, LAYER),
    "diffusion_transformer_s20": (transformer, BLOCK),
    "evoformer_iteration_s17": (msa_block, BLOCK),
    "pairformer_iteration_s18": (pairformer, BLOCK),
    "pairformer_iteration_s19": (pair_block, BLOCK),
}


@pytest.mark.parametrize("name", CASES)
def test_equals_the_original(fold_golden: LoadGolden, name: str) -> None:
    build, tolerance = CASES[name]
    module, error = build(fold_golden(name))
    assert error(module) < tolerance


def test_plain_self_attention_equals_the_original(fold_golden: LoadGolden) -> None:
    golden = fold_golden("self_attention_s20")
    module, error = plain_self_attention(golden)
    assert error(module) < LAYER


def _swap(module: nn.Module, first: str, second: str) -> None:
    one, other = module.get_parameter(first), module.get_parameter(second)
    kept = one.clone()
    one.copy_(other)
    other.copy_(kept)


def _zero(module: nn.Module, name: str) -> None:
    module.get_parameter(name).zero_()


def _transpose_columns(module: nn.Module) -> None:
    assert isinstance(module, GridAttention)
    module.columns = not module.columns


DAMAGES: dict[str, tuple[str, Callable[[nn.Module], None]]] = {
    "swapped gate halves": (
        "transition_s3",
        lambda m: m.up.weight.copy_(m.up.weight.roll(len(m.up.weight) // 2, 0)),
    ),
    "swapped triangle factors": (
        "trimul_in_s5",
        lambda m: (
            _swap(m, "linear_a_p.weight", "linear_b_p.weight"),
            _swap(m, "linear_a_g.weight", "linear_b_g.weight"),
        ),
    ),
    "columns for rows": ("gridattn_asym_row_s11", _transpose_columns),
    "no pair bias": ("gridattn_row_s9", lambda m: _zero(m, "pair_bias.weight")),
    "swapped left and right": ("opm_s13", lambda m: _swap(m, "left.weight", "right.weight")),
    "dropped output bias": ("opm_s13", lambda m: _zero(m, "out.bias")),
    "no pair logits": ("msa_attention_s15", lambda m: _zero(m, "pair_logits.weight")),
    "dropped query bias": ("self_attention_s20", lambda m: _zero(m, "heads.query.bias")),
    "swapped norms": (
        "cross_attention_s20",
        lambda m: _swap(m, "query_norm.scale.weight", "key_norm.scale.weight"),
    ),
    "swapped blocks": (
        "diffusion_transformer_s20",
        lambda m: _swap(
            m,
            "super_blocks.0.blocks.0.attention.heads.value.weight",
            "super_blocks.0.blocks.1.attention.heads.value.weight",
        ),
    ),
    "no single logits": ("pairformer_iteration_s18", lambda m: _zero(m, "logits.weight")),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_found(fold_golden: LoadGolden, damage: str) -> None:
    name, spoil = DAMAGES[damage]
    build, tolerance = CASES[name]
    module, error = build(fold_golden(name))
    with torch.no_grad():
        spoil(module)
    assert error(module) > 100 * tolerance


def _random(module: nn.Module) -> nn.Module:
    generator = torch.Generator().manual_seed(0)
    for parameter in module.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator) * 0.3
    return module.requires_grad_(False)


def test_outer_product_of_empty_columns_is_the_bias_over_the_floor() -> None:
    module = _random(OuterProductMean(8, 4, 6))
    update = module(torch.ones(3, 2, 8), torch.zeros(3, 2, dtype=torch.bool))
    torch.testing.assert_close(update[0, 1], module.out.bias / 1e-3)
