"""The model in units of its process: parameterisations, centring, self-conditioning."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from foldwright.diffusion.process import Prediction
from foldwright.geometry.rigid import Rigid
from foldwright.models.backbone.inputs import centre
from foldwright.models.backbone.model import BackboneModel
from tests.geometry.rotations import random_rotations
from tests.golden_numbers import assert_close
from tests.models.backbone.small_models import small_model, walks
from tests.nn.random_blocks import lengths_mask, normal

LENGTHS = [9, 6]
MASK = lengths_mask(LENGTHS, 9)
TIMES = torch.tensor([10, 70])


def chains() -> Tensor:
    return centre(torch.stack(walks([9, 9])), MASK)


class Oracle(nn.Module):
    """Stands for a network that knows the answer: moves each residue to `target` Å."""

    def __init__(self, target: Tensor) -> None:
        super().__init__()
        self.target = target
        self.seen: dict[str, Any] = {}

    def forward(self, frames: Rigid, timestep: Tensor, mask: Tensor, **rest: Any) -> Rigid:
        self.seen = {"frames": frames, "timestep": timestep, **rest}
        return Rigid(frames.rots, self.target)


def model_that_moves_to(target: Tensor, **diffusion: Any) -> tuple[BackboneModel, Oracle]:
    model = small_model(diffusion=diffusion)
    oracle = Oracle(target)
    model.network = oracle
    return model, oracle


@pytest.mark.parametrize("scale", [1.0, 10.0])
@pytest.mark.parametrize("kind", ["epsilon", "x0", "v"])
@torch.no_grad()
def test_parameterisations_agree_for_a_network_that_knows_the_answer(kind, scale) -> None:
    """Each moves the chain elsewhere and means the same clean chain and noise."""
    x0 = chains() / scale
    epsilon = centre(normal(2, 9, 3), MASK)
    process = small_model(diffusion={"coordinate_scale": scale}).process
    x = process.add_noise(x0, epsilon, TIMES)
    answer = process.target(kind, x0, epsilon, TIMES)
    target = scale * (answer if kind == "x0" else x - answer)
    model, oracle = model_that_moves_to(target, prediction=kind, coordinate_scale=scale)
    found = model.denoise(x, MASK, TIMES)
    assert_close(found.x0, x0, 1e-9, MASK)
    assert_close(found.epsilon, epsilon, 1e-9, MASK)
    assert_close(oracle.seen["frames"].trans, x * scale, 1e-12)


@pytest.mark.parametrize("kind", ["epsilon", "x0", "v"])
@torch.no_grad()
def test_real_network_and_its_two_answers_describe_one_belief(kind: str) -> None:
    model = small_model(diffusion={"prediction": kind, "coordinate_scale": 5.0})
    x = centre(normal(2, 9, 3), MASK)
    found = model.denoise(x, MASK, TIMES)
    assert_close(model.process.add_noise(found.x0, found.epsilon, TIMES), x, 1e-10)


@pytest.mark.parametrize("kind", ["epsilon", "x0", "v"])
@torch.no_grad()
def test_estimates_turn_with_the_chain_and_stay_centred(kind: str) -> None:
    model = small_model(diffusion={"prediction": kind})
    x, turn = chains(), random_rotations()
    here, there = model.denoise(x, MASK, TIMES), model.denoise(x @ turn.T, MASK, TIMES)
    assert_close(there.x0, here.x0 @ turn.T, 1e-6)
    assert_close(there.epsilon, here.epsilon @ turn.T, 1e-6)
    assert_close(here.x0.sum(1), torch.zeros(2, 3), 1e-8)
    assert not here.epsilon[~MASK].any()


@torch.no_grad()
def test_padding_and_company_change_nothing() -> None:
    model, x = small_model(), chains()
    together = model.denoise(x, MASK, TIMES)
    padded = model.denoise(
        nn.functional.pad(x, (0, 0, 0, 4)), nn.functional.pad(MASK, (0, 4)), TIMES
    )
    assert_close(padded.epsilon[:, :9], together.epsilon, 1e-8)
    for row, n in enumerate(LENGTHS):
        rows = slice(row, row + 1)
        alone = model.denoise(x[rows, :n], MASK[rows, :n], TIMES[rows])
        assert_close(together.epsilon[rows, :n], alone.epsilon, 1e-8)


@torch.no_grad()
def test_original_depends_on_padding_and_does_not_centre() -> None:
    ours, theirs = small_model(), small_model(diffusion={"compat": "genie-1"})
    x = chains()
    assert_close(ours.denoise(x, MASK, TIMES).epsilon.sum(1), torch.zeros(2, 3), 1e-9)
    original = theirs.denoise(x, MASK, TIMES).epsilon
    assert (original * MASK[..., None]).sum(1).abs().max() > 1e-3
    wide = theirs.denoise(
        nn.functional.pad(x, (0, 0, 0, 4)), nn.functional.pad(MASK, (0, 4)), TIMES
    )
    assert (wide.epsilon[:, :9] - original)[MASK].abs().max() > 1e-3


@torch.no_grad()
def test_original_at_full_length_differs_by_the_mean_alone() -> None:
    """Padded to the configured maximum both encode positions alike."""
    ours, theirs = (
        small_model(max_length=9),
        small_model(max_length=9, diffusion={"compat": "genie-1"}),
    )
    x = chains()
    original = theirs.denoise(x, MASK, TIMES).epsilon
    assert_close(ours.denoise(x, MASK, TIMES).epsilon, centre(original, MASK), 1e-9, MASK)


@torch.no_grad()
def test_self_conditioning_is_used_in_process_units() -> None:
    model = small_model(self_conditioning=True, diffusion={"coordinate_scale": 4.0})
    x, previous = chains() / 4, chains() / 4
    without = model.denoise(x, MASK, TIMES).epsilon
    assert (model.denoise(x, MASK, TIMES, previous).epsilon - without).abs().max() > 1e-3
    model.network = oracle = Oracle(chains())
    model.denoise(x, MASK, TIMES, previous)
    assert_close(oracle.seen["previous"], chains(), 1e-12)


@torch.no_grad()
def test_self_conditioning_is_refused_by_a_network_without() -> None:
    with pytest.raises(ValueError, match="built without self_conditioning"):
        small_model().denoise(chains(), MASK, TIMES, chains())


@torch.no_grad()
def test_result_is_a_prediction_of_the_given_shape_and_dtype() -> None:
    for dtype in (torch.float32, torch.float64):
        found = small_model(dtype=dtype).denoise(chains().to(dtype), MASK, TIMES)
        assert isinstance(found, Prediction)
        assert found.x0.dtype == found.epsilon.dtype == dtype
        assert found.x0.shape == (2, 9, 3)
