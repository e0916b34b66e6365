"""Where numbers could go wrong: they do not, by construction."""

from dataclasses import replace

import pytest
import torch

from benchmarks.fold_network import chain_inputs, random_network
from foldwright.models.fold import predict, seeded_fold_draws
from foldwright.models.fold.config import FoldConfig
from foldwright.models.fold.features import template_directions
from foldwright.models.fold.inputs import FoldInputs
from foldwright.models.fold.network.attention import hide_keys
from foldwright.models.fold.network.grid_attention import GridAttention
from foldwright.models.fold.network.msa import OuterProductMean
from foldwright.models.fold.network.workspace import Workspace
from foldwright.models.fold.sample import noise_between
from foldwright.models.fold.weights.load import empty_network
from tests.models.fold.test_determinism import LARGE, SETTINGS, SIZES


def test_a_level_that_rounds_below_itself_adds_no_noise() -> None:
    level = torch.tensor(3.0)
    below = torch.nextafter(level, torch.tensor(0.0))
    assert (below.square() - level.square()).sqrt().isnan()
    assert float(noise_between(level, below)) == 0
    assert float(noise_between(level, level)) == 0
    assert float(noise_between(level, torch.tensor(5.0))) == 4


@pytest.mark.parametrize("columns", [False, True])
def test_a_row_without_keys_averages_uniformly(columns: bool) -> None:
    attention = GridAttention(16, num_heads=2, columns=columns).requires_grad_(False)
    pair = torch.randn(5, 5, 16, generator=torch.Generator().manual_seed(0))
    mask = torch.ones(5, 5, dtype=torch.bool)
    mask[:, 2] = False  # row 2 sees nothing
    torch.nn.init.normal_(attention.out.weight, generator=torch.Generator().manual_seed(1))
    found = attention(pair, mask)
    assert torch.isfinite(found).all()
    turned = pair.transpose(0, 1) if columns else pair
    x = attention.layer_norm(turned[2])
    mean = attention.value(x).mean(0)
    expected = attention.out(mean * torch.sigmoid(attention.gate(x)))
    got = found[:, 2] if columns else found[2]
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)


def test_hiding_every_key_leaves_finite_weights() -> None:
    logits = torch.randn(2, 4, 4, generator=torch.Generator().manual_seed(0))
    hidden = hide_keys(logits, torch.zeros(4, dtype=torch.bool))
    weights = torch.softmax(hidden, dim=-1)
    assert torch.isfinite(weights).all()
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 4))


@pytest.mark.parametrize("atoms", ["coincident", "collinear"])
def test_degenerate_frames_give_finite_directions(atoms: str) -> None:
    positions = torch.zeros(3, 24, 3)
    if atoms == "collinear":
        positions[:, :3, 0] = torch.tensor([1.0, 2.0, 3.0])
        positions[:, :, 1] = torch.arange(3.0)[:, None]
    found = template_directions(positions, torch.ones(3, dtype=torch.bool))
    assert torch.isfinite(found).all()
    assert (found.norm(dim=-1) <= 1 + 1e-5).all()
    assert torch.equal(found.diagonal(), torch.zeros(3, 3))


def _emptied(inputs: FoldInputs) -> FoldInputs:
    alignment, templates, reference = inputs.alignment, inputs.templates, inputs.reference
    return replace(
        inputs,
        tokens=replace(inputs.tokens, mask=torch.zeros_like(inputs.tokens.mask)),
        alignment=replace(alignment, mask=torch.zeros_like(alignment.mask)),
        templates=replace(templates, mask=torch.zeros_like(templates.mask)),
        reference=replace(
            reference,
            mask=torch.zeros_like(reference.mask),
            real=torch.zeros_like(reference.real),
        ),
        frames=torch.zeros_like(inputs.frames),
    )


def test_zero_masks_give_finite_results_and_no_structure() -> None:
    inputs = _emptied(chain_inputs(20))
    found = predict(
        random_network(SIZES),
        inputs,
        SETTINGS,
        num_samples=1,
        draws=seeded_fold_draws(inputs, 3),
        plan=LARGE,
    )
    assert torch.equal(found.positions[0], torch.zeros(20, 24, 3))
    scores = found.confidence[0]
    for values in (found.trunk.pair, found.trunk.single, scores.lddt, scores.tm_global):
        assert torch.isfinite(values).all()
    assert torch.equal(scores.aligned_error, torch.zeros(20, 20))
    assert float(scores.mean_distance_error) == 0
    assert found.chains[0].ptm != found.chains[0].ptm  # nothing to score


@torch.no_grad()
def test_the_full_depth_network_has_the_published_shapes() -> None:
    network = empty_network(FoldConfig())
    assert sum(parameter.numel() for parameter in network.parameters()) == 368_384_538 - UNUSED
    assert (len(network.trunk.blocks), len(network.confidence.blocks)) == (48, 4)
    n = 9
    pair, single = torch.empty(n, n, 128, device="meta"), torch.empty(n, 384, device="meta")
    mask, work = torch.ones(n, dtype=torch.bool), Workspace()
    for block in (*network.trunk.blocks, *network.confidence.blocks):
        block.update(pair, single, mask, work)
    noisy = torch.empty(2, n, 768, device="meta")
    groups = torch.empty(6, 4, 16, n, n, device="meta")
    tokens = network.diffusion.transformer(noisy, single, groups)
    assert tokens.shape == noisy.shape
    assert network.distogram(pair).shape == (n, n, 64)


UNUSED = 2 * (2 * 128 * 16 + 16 * 3 + 16)
"""Values of the published parameters that feed nothing; see `weights.layout.UNUSED`."""


def test_inputs_move_to_a_device_as_a_whole() -> None:
    moved = chain_inputs(16).to("meta")
    assert moved.tokens.mask.device.type == "meta"
    assert moved.layout.queries_to_keys.index.device.type == "meta"
    assert moved.frames.device.type == moved.templates.positions.device.type == "meta"


def test_rows_without_a_letter_do_not_change_the_outer_product_in_either_order() -> None:
    torch.manual_seed(0)
    module = OuterProductMean(6, 4, 10)
    torch.nn.init.normal_(module.out.weight)
    torch.nn.init.normal_(module.out.bias)
    msa, mask = torch.randn(40, 19, 6), torch.rand(40, 19) < 0.7
    mask[3:] = False
    with torch.no_grad():
        few, many = module(msa[:3], mask[:3]), module(msa, mask)
    torch.testing.assert_close(few, many, rtol=1e-5, atol=1e-6 * float(many.abs().max()))
