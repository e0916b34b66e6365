"""Features, encoders, trunk, denoiser, heads and the whole network against the original."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from foldwright.models.fold.arrays import inputs_from_arrays
from foldwright.models.fold.config import AtomConfig, FoldConfig, FoldSamplerConfig
from foldwright.models.fold.features import (
    alignment_features,
    column_features,
    relative_encoding,
)
from foldwright.models.fold.inputs import Templates, Tokens
from foldwright.models.fold.network import template
from foldwright.models.fold.network.atom_encoder import AtomEncoder, TrunkToAtoms
from foldwright.models.fold.network.atom_parts import atom_decoder, atom_encoder
from foldwright.models.fold.network.confidence import Confidence, ConfidenceHead
from foldwright.models.fold.network.diffusion_head import DiffusionHead
from foldwright.models.fold.network.distogram import DistogramHead, contact_probabilities
from foldwright.models.fold.network.fold_network import FoldNetwork
from foldwright.models.fold.network.noise_embedding import FixedNoiseFeatures
from foldwright.models.fold.network.pairformer import PairBlock
from foldwright.models.fold.network.template import SingleTemplate, TemplateEmbedding
from foldwright.models.fold.network.workspace import Workspace
from foldwright.models.fold.plan import FoldPlan
from foldwright.models.fold.predict import FoldDraws, predict, run_trunk
from foldwright.models.fold.sample import (
    SampleDraws,
    StepDraws,
    noise_levels,
    rotation_from_vectors,
    sample_positions,
)
from foldwright.models.fold.weights.load import load_fold
from tests.models.fold.golden_files import TINY, FoldGolden, LoadGolden, relative_error

LAYER, BLOCK, MODEL = 2e-6, 1e-5, 1e-4
SELF_NOISE = 2**-24 / 1e-6
"""Rounding noise over the clamped norm in the original's vector of a template residue to itself.

Read off from template_single_nolayers_s39, where it is the only difference: the y component of
residues 2 and 7 of the second template of the input mixA. Ours is zero.
"""


@pytest.fixture
def original_noise(monkeypatch: pytest.MonkeyPatch) -> Callable[[FoldGolden, Tensor], None]:
    """Puts the original's noise into the directions of the template with these positions."""
    plain = template.template_directions

    def apply(golden: FoldGolden, positions: Tensor) -> None:
        def directions(given: Tensor, present: Tensor) -> Tensor:
            found = plain(given, present)
            if golden.meta["input"] == "mixA" and torch.equal(given, positions):
                found[[2, 7], [2, 7], 1] = SELF_NOISE
            return found

        monkeypatch.setattr(template, "template_directions", directions)

    return apply


@pytest.mark.parametrize("name", ["input_feats_s30", "input_feats_s31"])
def test_input_features(fold_golden: LoadGolden, name: str) -> None:
    golden = fold_golden(name)
    inputs = golden.inputs()
    encoded = relative_encoding(inputs.tokens, slice(None))
    columns = column_features(inputs.tokens, inputs.alignment)
    rows = alignment_features(
        inputs.alignment.rows, inputs.alignment.deletions, dtype=torch.float32
    )
    assert torch.equal(encoded, golden.result("relative_encoding"))
    assert relative_error(columns, golden.result("target_feat")) < LAYER
    assert relative_error(rows, golden.result("msa_feat")) < LAYER


def test_relative_encoding_of_long_offsets(fold_golden: LoadGolden) -> None:
    golden = fold_golden("relative_encoding_long_s32")
    names = ("token_index", "residue_index", "asym_id", "entity_id", "sym_id")
    ids = [golden.input(name).long() for name in names]
    tokens = Tokens(*ids, residue_class=ids[0], mask=torch.ones(len(ids[0]), dtype=torch.bool))
    assert torch.equal(relative_encoding(tokens, slice(None)), golden.result("y"))


def test_noise_features(fold_golden: LoadGolden) -> None:
    golden = fold_golden("noise_embedding_s21")
    ratio = golden.input("sigma_over_sigma_data")
    found = torch.stack([FixedNoiseFeatures()(level * 16, 16.0) for level in ratio])
    assert relative_error(found, golden.result("y")) < 2e-5  # angles reach hundreds of radians


def test_noise_levels(fold_golden: LoadGolden) -> None:
    golden = fold_golden("noise_schedule")
    for steps in (1, 5, 20, 200):
        expected = golden.result(f"n{steps}")
        torch.testing.assert_close(noise_levels(steps), expected, rtol=2e-5, atol=0)


def test_rotation(fold_golden: LoadGolden) -> None:
    golden = fold_golden("random_rotation")
    rotation = rotation_from_vectors(golden.input("v"))
    assert relative_error(rotation, golden.result("rot")) < LAYER


def _templates(golden: FoldGolden) -> Templates:
    return Templates(
        golden.input("template_aatype").long(),
        golden.input("template_atom_positions"),
        golden.input("template_atom_mask"),
    )


def test_template_features(
    fold_golden: LoadGolden, original_noise: Callable[[FoldGolden, Tensor], None]
) -> None:
    golden = fold_golden("template_single_nolayers_s39")
    pair, templates = golden.input("query_embedding"), _templates(golden)
    module = SingleTemplate(pair.shape[-1], 16, nn.ModuleList(), num_classes=31)
    golden.load(module, "single_template_embedding")
    same, real = golden.mask("multichain_mask_2d"), golden.mask("padding_mask_2d")
    original_noise(golden, templates.positions[1])
    for slot in range(2):
        found = module(
            pair,
            templates.residue_class[slot],
            templates.positions[slot],
            templates.mask[slot],
            same,
            real,
        )
        assert relative_error(found, golden.result(f"template{slot}")) < LAYER


@pytest.mark.parametrize("name", ["template_embedding_s33", "template_embedding_s34"])
def test_template_embedding(
    fold_golden: LoadGolden, name: str, original_noise: Callable[[FoldGolden, Tensor], None]
) -> None:
    golden = fold_golden(name)
    templates = _templates(golden)
    original_noise(golden, templates.positions[1])
    pair = golden.input("query_embedding")
    config = golden.meta["config"]
    channels, stack = config["num_channels"], config["template_stack"]
    blocks = nn.ModuleList(
        PairBlock(channels, num_heads=stack["pair_attention"]["num_head"], factor=2)
        for _ in range(stack["num_layer"])
    )
    module = TemplateEmbedding(pair.shape[-1], channels, blocks, num_classes=31)
    golden.load(module, "template_embedding")
    real = golden.mask("padding_mask_2d")
    found = module(pair, templates, golden.mask("multichain_mask_2d"), real)
    assert relative_error(found, golden.result("y"), real) < BLOCK


def _sizes(golden: FoldGolden) -> FoldConfig:
    config = golden.meta["config"]
    attention = config["atom_transformer"]["attention"]
    return FoldConfig(
        atoms=AtomConfig(
            channels=config["per_atom_channels"],
            pair_channels=config["per_atom_pair_channels"],
            num_heads=attention["num_head"],
            width=attention["key_dim"],
            num_input_blocks=config["atom_transformer"]["num_blocks"],
        )
    )


def _encoder(golden: FoldGolden) -> AtomEncoder:
    sizes = _sizes(golden)
    channels = golden.meta["config"]["per_token_channels"]
    return atom_encoder(sizes, channels, num_blocks=sizes.atoms.num_input_blocks)


@pytest.mark.parametrize("name", ["atom_encoder_static_s35", "atom_encoder_static_s36"])
def test_static_atom_encoder(fold_golden: LoadGolden, name: str) -> None:
    golden = fold_golden(name)
    inputs = golden.inputs()
    encoder = _encoder(golden)
    golden.load(encoder, "evoformer_conditioning_")
    context = encoder.context(inputs.reference, inputs.layout)
    tokens, skip = encoder(context.queries, context, encoder.transformer.prepare(context))
    kept = len(context.query_mask)  # windows without atoms are left out
    real = golden.result("queries_mask")[:kept]
    assert not golden.result("queries_mask")[kept:].any()
    assert torch.equal(context.query_mask, real)
    assert torch.equal(context.key_mask, golden.result("keys_mask")[:kept])
    conditioning = golden.result("queries_single_cond")[:kept]
    assert relative_error(context.queries, conditioning, real) < LAYER
    assert relative_error(context.pair[:3], golden.result("pair_cond_first3")[:kept]) < BLOCK
    assert relative_error(skip, golden.result("skip_connection")[:kept]) < BLOCK
    assert relative_error(tokens, golden.result("token_act"), inputs.tokens.mask) < BLOCK


@pytest.mark.parametrize("name", ["atom_encoder_decoder_s37", "atom_encoder_decoder_s38"])
def test_atom_encoder_with_trunk_and_decoder(fold_golden: LoadGolden, name: str) -> None:
    golden = fold_golden(name)
    inputs = golden.inputs()
    config = golden.meta["config"]
    single, pair = golden.input("trunk_single_cond"), golden.input("trunk_pair_cond")
    encoder = _encoder(golden)
    widths = (config["per_atom_channels"], config["per_atom_pair_channels"])
    trunk = TrunkToAtoms(*widths, single.shape[-1], pair.shape[-1])
    sizes = _sizes(golden)
    decoder = atom_decoder(
        sizes, config["per_token_channels"], num_blocks=sizes.atoms.num_input_blocks
    )
    for module in (encoder, trunk, decoder):
        golden.load(module, "diffusion_")
    context = trunk(inputs.reference, inputs.layout, encoder.reference, single, pair)
    moved = trunk.positions(golden.input("token_atoms_act"))
    x = context.layout.token_atoms_to_queries.take(moved, dims=2)
    x = x * context.query_mask[..., None] + context.queries
    tokens, skip = encoder(x, context, encoder.transformer.prepare(context))
    real = context.query_mask
    expected = golden.result("queries_single_cond")[: len(real)]
    assert relative_error(context.queries, expected, real) < LAYER
    assert relative_error(skip, golden.result("skip_connection")[: len(real)]) < BLOCK
    assert relative_error(tokens, golden.result("token_act"), inputs.tokens.mask) < BLOCK
    update = decoder(
        golden.input("token_act_add") + tokens, skip, context, decoder.transformer.prepare(context)
    )
    atoms = inputs.reference.real
    assert relative_error(update, golden.result("position_update"), atoms) < BLOCK


def _diffusion(golden: FoldGolden) -> DiffusionHead:
    head = DiffusionHead(TINY)
    golden.load(head, "diffusion_head")
    return head


@pytest.mark.parametrize("name", ["diffusion_head_s40", "diffusion_head_s41", "diffusion_head_s42"])
def test_diffusion_head(fold_golden: LoadGolden, name: str) -> None:
    golden = fold_golden(name)
    inputs, head = golden.inputs(), _diffusion(golden)
    target, pair, single = (
        golden.input(f"embeddings/{part}") for part in ("target_feat", "pair", "single")
    )
    work = Workspace()
    parts = (inputs, target, pair, single, work)
    conditioning = head.condition(*parts, keep_logits=True)
    if not golden.meta["use_conditioning"]:  # only the atoms still see the trunk's tokens
        blind = head.condition(inputs, target, 0 * pair, 0 * single, work, keep_logits=True)
        conditioned = head.pair_conditioning(inputs, 0 * pair, work)
        atoms = head.trunk_to_atoms(
            inputs.reference, inputs.layout, head.encoder.reference, single, conditioned
        )
        conditioning = replace(
            blind,
            atoms=atoms,
            encoder=head.encoder.transformer.prepare(atoms),
            decoder=head.decoder.transformer.prepare(atoms),
        )
    noisy, expected = golden.input("positions_noisy"), golden.result("positions_denoised")
    for level, denoised in zip(golden.input("noise_levels"), expected, strict=True):
        found = head(inputs, conditioning, noisy[None], level, work)[0]
        assert relative_error(found, denoised, inputs.reference.real) < BLOCK


def given_draws(golden: FoldGolden, sample: int) -> SampleDraws:
    def step(index: int) -> StepDraws:
        return StepDraws(
            golden.input("rotations")[index, sample],
            golden.input("translations")[index, sample],
            golden.input("noise")[index, sample],
        )

    return SampleDraws(golden.input("init_noise")[sample], step)


def test_sampling(fold_golden: LoadGolden) -> None:
    golden = fold_golden("sampling_s43")
    inputs, head = golden.inputs(), _diffusion(golden)
    parts = [golden.input(f"embeddings/{part}") for part in ("target_feat", "pair", "single")]
    work = Workspace()
    conditioning = head.condition(inputs, *parts, work, keep_logits=False)

    def denoise(positions: Tensor, level: Tensor) -> Tensor:
        return head(inputs, conditioning, positions, level, work)

    real = inputs.reference.real
    found = sample_positions(
        denoise,
        real,
        golden.input("noise_levels"),
        [given_draws(golden, sample) for sample in range(2)],
        FoldSamplerConfig(steps=5),
    )
    for sample in range(2):
        assert relative_error(found[sample], golden.result("atom_positions")[sample], real) < MODEL


def test_distogram(fold_golden: LoadGolden) -> None:
    golden = fold_golden("distogram_head_s44")
    pair, mask = golden.input("pair"), golden.mask("seq_mask")
    head = DistogramHead(pair.shape[-1])
    golden.load(head, "distogram_head")
    real = mask[:, None] & mask[None]
    logits = head(pair)
    assert relative_error(logits, golden.result("distogram")) < LAYER
    assert relative_error(DistogramHead.edges(), golden.result("bin_edges")) < LAYER
    contacts = contact_probabilities(logits, real)
    assert relative_error(contacts, golden.result("contact_probs")) < LAYER


SCORES = {
    "lddt": "predicted_lddt",
    "resolved": "predicted_experimentally_resolved",
    "aligned_error": "full_pae",
    "distance_error": "full_pde",
    "mean_distance_error": "average_pde",
    "tm_global": "tmscore_adjusted_pae_global",
    "tm_interface": "tmscore_adjusted_pae_interface",
}


def _score_errors(
    found: Confidence, golden: FoldGolden, real: Tensor, *at: int
) -> dict[str, float]:
    both = real[:, None] & real[None]
    errors = {}
    for ours, theirs in SCORES.items():
        expected = golden.result(theirs)[at] if at else golden.result(theirs)
        where = None if expected.ndim == 0 else real if ours in ("lddt", "resolved") else both
        errors[ours] = relative_error(getattr(found, ours), expected, where)
    return errors


@pytest.mark.parametrize("name", ["confidence_head_s45", "confidence_head_s46"])
def test_confidence(fold_golden: LoadGolden, name: str) -> None:
    golden = fold_golden(name)
    inputs = golden.inputs()
    head = ConfidenceHead(TINY)
    golden.load(head, "confidence_head")
    found = head(
        inputs,
        golden.input("dense_atom_positions"),
        *(golden.input(f"embeddings/{part}") for part in ("target_feat", "pair", "single")),
        Workspace(),
    )
    errors = _score_errors(found, golden, inputs.tokens.mask)
    assert max(errors.values()) < MODEL, errors


@pytest.mark.parametrize("name", ["trunk_s50", "trunk_s51"])
def test_trunk(
    fold_golden: LoadGolden, name: str, original_noise: Callable[[FoldGolden, Tensor], None]
) -> None:
    golden = fold_golden(name)
    inputs, network = golden.inputs(), FoldNetwork(TINY)
    original_noise(golden, inputs.templates.positions[1])
    golden.load(network.input_encoder, "evoformer_conditioning_")
    golden.load(network.trunk, "evoformer")
    orders = list(golden.input("msa_row_order").long())
    real, both = inputs.tokens.mask, inputs.tokens.pair_mask
    for passes in (1, 3):
        found = run_trunk(network, inputs, orders[:passes], Workspace())
        assert relative_error(found.target, golden.result("target_feat"), real) < BLOCK
        assert relative_error(found.pair, golden.result("pair")[passes - 1], both) < MODEL
        assert relative_error(found.single, golden.result("single")[passes - 1], real) < MODEL


def test_whole_model(
    shared_golden: Path,
    fold_golden: LoadGolden,
    original_noise: Callable[[FoldGolden, Tensor], None],
) -> None:
    golden = fold_golden("model_s55")
    network = load_fold(shared_golden / "af3" / "model_s55.bin.zst", TINY)
    inputs = inputs_from_arrays(golden.batch(), "golden")
    original_noise(golden, inputs.templates.positions[1])
    orders = golden.input("msa_row_order").long()
    draws = FoldDraws(lambda index: orders[index], lambda index: given_draws(golden, index))
    config = FoldSamplerConfig(num_recycles=2, steps=5)
    plan = FoldPlan(keep_logits=True, samples_together=2, factors_at_once=1)
    found = predict(network, inputs, config, num_samples=2, draws=draws, plan=plan)
    tokens, both = inputs.tokens.mask, inputs.tokens.pair_mask
    assert relative_error(found.trunk.single, golden.result("single_embeddings"), tokens) < MODEL
    assert relative_error(found.trunk.pair, golden.result("pair_embeddings"), both) < MODEL
    assert relative_error(found.distogram, golden.result("distogram_distogram"), both) < MODEL
    assert relative_error(found.contacts, golden.result("distogram_contact_probs"), both) < MODEL
    for sample, (positions, scores) in enumerate(
        zip(found.positions, found.confidence, strict=True)
    ):
        expected = golden.result("atom_positions")[sample]
        assert relative_error(positions, expected, inputs.reference.real) < MODEL
        errors = _score_errors(scores, golden, tokens, sample)
        assert max(errors.values()) < MODEL, errors


def test_released_sizes_are_the_defaults() -> None:
    config = FoldConfig()
    assert config.target_channels == 447
    assert (config.num_trunk_blocks, config.diffusion.num_super_blocks) == (48, 6)
