"""How weights start."""

import math

import pytest
import torch

from foldwright.nn.linear import Linear


@pytest.mark.parametrize(("init", "variance"), [("default", 1 / 64), ("relu", 2 / 64)])
def test_normal_weights_keep_the_variance_of_what_passes(init: str, variance: float) -> None:
    """LeCun and He depend on the columns alone: 500 rows do not make the weights smaller."""
    torch.manual_seed(0)
    layer = Linear(64, 500, init=init)
    std = math.sqrt(variance)
    weight = layer.weight.detach()
    assert abs(float(weight.std()) / std - 1) < 0.02
    assert abs(float(weight.mean())) < 4 * std / math.sqrt(32_000)
    cut = 2 * std / 0.8796256610342398
    assert 0.99 * cut < float(weight.abs().max()) <= cut
    assert not layer.bias.any()


def test_glorot_is_uniform_with_its_bound() -> None:
    torch.manual_seed(0)
    layer = Linear(60, 40, init="glorot", bias=False)
    bound = math.sqrt(6 / 100)
    weight = layer.weight.detach()
    assert 0.99 * bound < float(weight.abs().max()) <= bound
    assert abs(float(weight.std()) / (bound / math.sqrt(3)) - 1) < 0.03
    assert layer.bias is None


def test_gate_starts_open_and_residual_branch_at_nothing() -> None:
    x = torch.randn(5, 8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(Linear(8, 3, init="gating")(x), torch.ones(5, 3))
    assert torch.equal(Linear(8, 3, init="final")(x), torch.zeros(5, 3))
    assert torch.equal(Linear(8, 3, init="final", bias=False)(x), torch.zeros(5, 3))


def test_same_seed_same_weights_and_drawing_again() -> None:
    weights = []
    for _ in range(2):
        torch.manual_seed(3)
        weights.append(Linear(4, 4).weight.detach().clone())
    assert torch.equal(*weights)
    layer = Linear(4, 4)
    before = layer.weight.detach().clone()
    layer.reset_parameters()
    assert not torch.equal(layer.weight, before)
    assert layer.weight.requires_grad
