"""Loss terms against answers worked out by hand."""

import math

import pytest
import torch
from torch import Tensor

from foldwright.models.backbone.config import LossConfig
from foldwright.models.backbone.inputs import BackboneBatch, centre, collate
from foldwright.models.backbone.loss import (
    NoisedBatch,
    clean_estimate_weight,
    diffusion_loss,
    draw_noise,
    local_geometry_error,
    prediction_error,
    smooth_lddt_error,
)
from tests.geometry.rotations import MIRROR, random_rotations
from tests.golden_numbers import assert_close
from tests.models.backbone.small_models import helix, small_model, walks
from tests.nn.random_blocks import lengths_mask, normal

ONE = torch.ones(1, dtype=torch.float64)
ALL = torch.ones(1, 12, dtype=torch.bool)
MASK = lengths_mask([9, 6], 9)


def seeded(number: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(number)


def batch() -> BackboneBatch:
    return collate(walks([9, 6]), ["a", "b"])


def noised(times: list[int]) -> NoisedBatch:
    noise = centre(normal(2, 9, 3), MASK)
    return NoisedBatch(batch().ca, noise, torch.tensor(times), MASK)


@pytest.mark.parametrize(("kind", "expected"), [("distance", 10 / 4), ("mse", 36 / 4 / 3)])
def test_mean_over_real_residues_of_the_whole_batch(kind: str, expected: float) -> None:
    """Lengths of 5, 3, 1 and 1 Å over four real residues; padding is wrong by 100 Å."""
    lengths = torch.tensor([[5.0, 3, 1], [1, 100, 100]], dtype=torch.float64)
    direction = torch.tensor([0.0, 0.6, 0.8], dtype=torch.float64)
    target = torch.zeros(2, 3, 3, dtype=torch.float64)
    mask = lengths_mask([3, 1], 3)
    found = prediction_error(lengths[..., None] * direction, target, mask, kind=kind)
    assert float(found) == pytest.approx(expected, abs=1e-7)


def test_batch_of_padding_alone_has_no_error() -> None:
    zero = torch.zeros(1, 4, 3)
    nothing = torch.zeros(1, 4, dtype=torch.bool)
    for error in (
        prediction_error(zero + 5, zero, nothing, kind="distance"),
        local_geometry_error(zero + 5, zero, nothing, torch.ones(1)),
        smooth_lddt_error(zero + 5, zero, nothing, torch.zeros(1)),
    ):
        assert float(error) == 0.0


def test_helix_and_mirror_image_differ_in_handedness_alone() -> None:
    """All distances agree, so what is left is twice the triple product of the helix."""
    right, left = helix(12)[None], helix(12, handed=-1)[None]
    a, b, c = (right[0, 1:4] - right[0, :3]).unbind(0)
    volume = float(torch.linalg.cross(a, b) @ c) / 3.8**3
    assert volume > 0.3
    assert float(local_geometry_error(left, right, ALL, ONE)) == pytest.approx(2 * volume, abs=1e-9)
    assert float(local_geometry_error(right, right, ALL, ONE)) == pytest.approx(0.0, abs=1e-12)
    assert_close(
        smooth_lddt_error(left, right, ALL, ONE), smooth_lddt_error(right, right, ALL, ONE), 1e-9
    )


def test_local_term_does_not_see_rotation_and_weighs_chains() -> None:
    target, ca = batch().ca, batch().ca + 0.5 * normal(2, 9, 3)
    turned = ca @ random_rotations().T + 7
    weight = torch.tensor([0.3, 1.0], dtype=torch.float64)
    error = local_geometry_error(ca, target, MASK, weight)
    assert_close(local_geometry_error(turned, target, MASK, weight), error, 1e-9)
    assert (local_geometry_error(ca @ MIRROR, target, MASK, weight) - error).abs() > 1e-3
    first = local_geometry_error(ca[:1], target[:1], MASK[:1], weight[:1])
    alone = local_geometry_error(ca, target, MASK, torch.tensor([0.3, 0.0]).double())
    assert_close(alone, first, 1e-12)


def test_local_term_of_a_stretched_line() -> None:
    """Steps of 4 instead of 3 Å: spans of one to four are long by 1, 2, 3 and 4 Å."""
    line = torch.zeros(1, 12, 3, dtype=torch.float64)
    line[0, :, 2] = torch.arange(12)
    found = local_geometry_error(4 * line, 3 * line, ALL, ONE)
    assert float(found) == pytest.approx(10.0, abs=1e-9)


def test_perfect_lddt_has_the_value_of_its_sigmoids() -> None:
    perfect = sum(1 / (1 + math.exp(-cut)) for cut in (0.5, 1, 2, 4)) / 4
    ca = helix(12)[None]
    assert float(smooth_lddt_error(ca, ca, ALL, ONE)) == pytest.approx(1 - perfect, abs=1e-9)
    turned = ca @ random_rotations().T + 30
    assert float(smooth_lddt_error(turned, ca, ALL, ONE)) == pytest.approx(1 - perfect, abs=1e-7)


def test_lddt_counts_real_pairs_within_its_radius_only() -> None:
    """Pairs beyond 15 Å, and padding, may move as they like; one near pair decides the score."""
    target = torch.tensor([[[0.0, 0, 0], [10, 0, 0], [40, 0, 0], [1, 1, 1]]]).double()
    found = torch.tensor([[[0.0, 0, 0], [13, 0, 0], [90, 9, 0], [5, 5, 5]]]).double()
    mask = lengths_mask([3], 4)
    kept = sum(1 / (1 + math.exp(3 - cut)) for cut in (0.5, 1, 2, 4)) / 4
    assert float(smooth_lddt_error(found, target, mask, ONE)) == pytest.approx(1 - kept, abs=1e-7)


def test_chains_without_a_near_pair_do_not_count_and_have_finite_gradients() -> None:
    near, far = helix(6), 100 * helix(6)
    target = torch.stack([near, far])
    x0 = (target + normal(2, 6, 3)).requires_grad_()
    mask = torch.ones(2, 6, dtype=torch.bool)
    weight = torch.ones(2, dtype=torch.float64)
    found = smooth_lddt_error(x0, target, mask, weight)
    assert_close(found, smooth_lddt_error(x0[:1], target[:1], mask[:1], weight[:1]), 1e-12)
    found.backward()
    assert torch.isfinite(x0.grad).all()
    assert smooth_lddt_error(x0[1:], target[1:], mask[1:], weight[1:]) == 0


def test_weight_is_half_at_its_noise_and_falls_with_the_square() -> None:
    config = LossConfig(clean_estimate_noise=2.0)
    found = clean_estimate_weight(torch.tensor([0.0, 2.0, 20.0]).double(), config)
    assert_close(found, torch.tensor([1.0, 0.5, 1 / 101]), 1e-7)


@pytest.mark.parametrize("compat", [None, "genie-1"])
def test_noise_is_drawn_from_the_generator_and_zero_on_padding(compat: str | None) -> None:
    model = small_model(diffusion={"coordinate_scale": 2.0, "compat": compat})
    first, again, other = (draw_noise(model, batch(), seeded(n)) for n in (0, 0, 1))
    assert torch.equal(first.noise, again.noise)
    assert torch.equal(first.timestep, again.timestep)
    assert not torch.equal(first.noise, other.noise)
    assert not first.noise[~MASK].any()
    assert_close(first.x0, batch().ca / 2, 1e-12)
    centred = bool(first.noise.sum(1).abs().max() < 1e-9)
    assert centred is (compat is None)


def test_times_cover_the_process_and_noise_is_normal() -> None:
    model = small_model(diffusion={"num_steps": 4})
    ca = torch.zeros(400, 16, 3)
    many = BackboneBatch(ca, torch.ones(400, 16, dtype=torch.bool), ("",) * 400)
    drawn = draw_noise(model, many, seeded())
    assert set(drawn.timestep.tolist()) == {0, 1, 2, 3}
    # Centring takes away one of the 16 degrees of freedom of each chain.
    assert abs(float(drawn.noise.var()) - 15 / 16) < 0.03


@torch.no_grad()
def test_total_is_the_weighted_sum_of_the_parts() -> None:
    model, given = small_model(), noised([2, 40])
    config = LossConfig(local_geometry_weight=0.5, lddt_weight=2.0)
    loss = diffusion_loss(model, given, config, self_condition=False)
    assert set(loss.parts) == {"error", "local", "lddt"}
    parts = loss.parts
    expected = parts["error"] + 0.5 * parts["local"] + 2 * parts["lddt"]
    assert_close(loss.total, expected, 1e-12)
    plain = diffusion_loss(model, given, LossConfig(), self_condition=False)
    assert set(plain.parts) == {"error"}
    assert_close(plain.total, parts["error"], 0)


@pytest.mark.parametrize("kind", ["epsilon", "x0", "v"])
@torch.no_grad()
def test_error_is_that_of_what_the_network_predicts(kind: str) -> None:
    model, given = small_model(diffusion={"prediction": kind}), noised([2, 40])
    x = model.process.add_noise(given.x0, given.noise, given.timestep)
    found = model.denoise(x, MASK, given.timestep)
    wanted = model.process.target(kind, given.x0, given.noise, given.timestep)
    guess = model.process.target(kind, found.x0, found.epsilon, given.timestep)
    expected = ((guess - wanted).norm(dim=-1) * MASK).sum() / MASK.sum()
    loss = diffusion_loss(model, given, LossConfig(), self_condition=False)
    assert_close(loss.total, expected, 1e-7)


def test_self_conditioning_runs_twice_and_differentiates_once() -> None:
    model, given = small_model(self_conditioning=True), noised([2, 40])
    calls: list[bool] = []
    model.network.register_forward_hook(lambda *_: calls.append(torch.is_grad_enabled()))
    once = diffusion_loss(model, given, LossConfig(), self_condition=False).total
    twice = diffusion_loss(model, given, LossConfig(), self_condition=True).total
    assert calls == [True, False, True]
    assert (once - twice).abs() > 1e-6
    twice.backward()
    assert model.network.pair_feature_net.linear_self_condition.weight.grad.abs().max() > 0


@torch.no_grad()
def test_self_conditioning_uses_the_clean_estimate_of_the_first_pass() -> None:
    model, given = small_model(self_conditioning=True), noised([2, 40])
    x = model.process.add_noise(given.x0, given.noise, given.timestep)
    first = model.denoise(x, MASK, given.timestep).x0
    second = model.denoise(x, MASK, given.timestep, first).epsilon
    loss = diffusion_loss(model, given, LossConfig(), self_condition=True)
    expected = prediction_error(second, given.noise, MASK, kind="distance")
    assert_close(loss.total, expected, 1e-9)


@torch.no_grad()
def test_loss_does_not_turn_with_the_batch_or_change_with_padding() -> None:
    model, given = small_model(), noised([2, 40])
    config = LossConfig(local_geometry_weight=1.0, lddt_weight=1.0)
    turn = random_rotations()

    def total(x0: Tensor, noise: Tensor, mask: Tensor) -> Tensor:
        moved = NoisedBatch(x0, noise, given.timestep, mask)
        return diffusion_loss(model, moved, config, self_condition=False).total

    here = total(given.x0, given.noise, MASK)
    assert_close(total(given.x0 @ turn.T, given.noise @ turn.T, MASK), here, 1e-7)
    wide = [torch.nn.functional.pad(x, (0, 0, 0, 5)) for x in (given.x0, given.noise)]
    assert_close(total(*wide, torch.nn.functional.pad(MASK, (0, 5))), here, 1e-8)


@pytest.mark.parametrize("shape", ["straight", "one place"])
def test_gradients_are_finite_for_degenerate_chains_without_noise(shape: str) -> None:
    ca = torch.zeros(1, 8, 3, dtype=torch.float64)
    if shape == "straight":
        ca[0, :, 0] = 3.8 * torch.arange(8)
    mask = torch.ones(1, 8, dtype=torch.bool)
    model = small_model(diffusion={"prediction": "x0"})
    config = LossConfig(local_geometry_weight=1.0, lddt_weight=1.0)
    given = NoisedBatch(ca, torch.zeros_like(ca), torch.tensor([0]), mask)
    diffusion_loss(model, given, config, self_condition=False).total.backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)
