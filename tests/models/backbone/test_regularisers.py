"""Optional loss terms against answers worked out by hand; weight zero leaves them out."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from foldwright.models.backbone.config import LossConfig
from foldwright.models.backbone.inputs import centre
from foldwright.models.backbone.loss import BackboneLoss, NoisedBatch, diffusion_loss
from foldwright.models.backbone.regularisers import (
    energy_error,
    error_smoothness,
    magnitude_error,
    norm_ratio_error,
)
from foldwright.nn.hyper_connections import STREAM_TERMS
from foldwright.runtime.config import load_config
from foldwright.runtime.errors import InputError
from tests.models.backbone.small_models import small_model, walks
from tests.nn.random_blocks import lengths_mask, normal

MASK = lengths_mask([9, 6], 9)
PREDICTION_TERMS = ("norm_ratio", "magnitude", "error_smoothness", "energy")


def along(lengths: list[float], n: int) -> Tensor:
    """Vectors of these lengths along one direction; the rest is padding of length 999."""
    direction = torch.tensor([0.0, 0.6, 0.8], dtype=torch.float64)
    values = torch.tensor(lengths + [999.0] * (n - len(lengths)), dtype=torch.float64)
    return (values[:, None] * direction)[None]


def loss(regularisers: dict[str, float], **genie: Any) -> BackboneLoss:
    model = small_model(**genie)
    x0 = torch.stack(walks([9, 9])) * MASK[..., None]
    given = NoisedBatch(x0, centre(normal(2, 9, 3), MASK), torch.tensor([5, 60]), MASK)
    config = LossConfig.model_validate({"regularisers": regularisers})
    return diffusion_loss(model, given, config, self_condition=False)


def test_norm_ratio_has_a_tolerance_that_shrinks_with_length() -> None:
    """1.5 is 0.3 beyond a tolerance of 0.2 at 128 residues, 0.4 beyond 0.1 at 512, twice."""
    for n, expected in ((128, 0.3**2), (512, 2 * 0.4**2)):
        mask = lengths_mask([n], n + 3)
        found = norm_ratio_error(along([3.0] * n, n + 3), along([2.0] * n, n + 3), mask)
        assert float(found) == pytest.approx(expected, rel=1e-5)
        same = norm_ratio_error(along([2.05] * n, n + 3), along([2.0] * n, n + 3), mask)
        assert float(same) == 0.0


def test_magnitude_counts_what_is_beyond_ten_or_the_target() -> None:
    mask = lengths_mask([4], 6)
    found = magnitude_error(along([12, 3, 30, 10], 6), along([1, 1, 29, 1], 6), mask)
    assert float(found) == pytest.approx((2**2 + 1**2) / 4, rel=1e-5)


def test_smoothness_is_that_of_the_error() -> None:
    mask = lengths_mask([4], 6)
    wanted = normal(1, 6, 3)
    assert float(error_smoothness(wanted + 5.0, wanted, mask)) == pytest.approx(0.0, abs=1e-12)
    found = wanted + along([0, 1, 3, 3], 6)
    assert float(error_smoothness(found, wanted, mask)) == pytest.approx((1 + 4) / 3)


def test_energy_compares_whole_chains_and_skips_empty_ones() -> None:
    mask = torch.cat([lengths_mask([2], 3), lengths_mask([0], 3)])
    found = torch.cat([along([3, 4], 3), along([1], 3)]).requires_grad_()
    error = energy_error(found, torch.cat([along([0, 5], 3), along([1], 3)]), mask)
    assert float(error.detach()) == pytest.approx(0.0, abs=1e-12)
    twice = energy_error(found * 2, torch.cat([along([0, 5], 3), along([1], 3)]), mask)
    assert float(twice.detach()) == pytest.approx(9.0)
    twice.backward()
    assert torch.isfinite(found.grad).all()


@pytest.mark.parametrize("name", PREDICTION_TERMS)
def test_each_term_on_the_prediction_enters_with_its_weight(name: str) -> None:
    plain, more = loss({}), loss({f"{name}_weight": 3.0})
    assert set(plain.parts) == {"error"}
    assert set(more.parts) == {"error", name}
    expected = plain.total + 3 * more.parts[name]
    torch.testing.assert_close(more.total, expected, atol=1e-12, rtol=0)


@pytest.mark.parametrize("name", STREAM_TERMS)
def test_each_term_on_streams_enters_with_its_weight_and_teaches(name: str) -> None:
    plain = loss({}, residual_streams=2)
    more = loss({f"{name}_weight": 3.0}, residual_streams=2)
    assert set(more.parts) == {"error", name}
    assert more.parts[name] > 0
    torch.testing.assert_close(more.total, plain.total + 3 * more.parts[name])
    assert more.parts[name].requires_grad


def test_terms_on_streams_need_streams() -> None:
    with pytest.raises(InputError, match="residual_streams to 2 or more"):
        loss({"activation_weight": 1.0})


def test_read_from_yaml(tmp_path: Path) -> None:
    path = tmp_path / "loss.yaml"
    path.write_text("regularisers: {energy_weight: 0.02}\n")
    config = load_config(LossConfig, path, ["regularisers.activation_weight=0.05"])
    assert config.regularisers.energy_weight == 0.02
    assert config.regularisers.activation_weight == 0.05
