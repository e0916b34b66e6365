"""Dropout masks shared along an axis."""

import pytest
import torch

from foldwright.nn.dropout import AxisDropout

ONES = torch.ones(2, 20, 20, 6)


@pytest.mark.parametrize("axis", [1, 2])
def test_one_mask_along_the_shared_axis_and_none_along_the_others(axis: int) -> None:
    torch.manual_seed(0)
    out = AxisDropout(0.25, shared_dim=axis)(ONES)
    first = out.select(axis, 0).unsqueeze(axis)
    assert torch.equal(out, first.expand_as(out))
    for other in {0, 1, 2, 3} - {axis}:
        assert not torch.equal(out, out.select(other, 0).unsqueeze(other).expand_as(out))
    assert out.unique().tolist() == pytest.approx([0.0, 1 / 0.75])


@pytest.mark.parametrize("rate", [0.05, 0.25, 0.5, 0.9])
@pytest.mark.parametrize("width", [40, 41])
def test_share_of_what_is_kept_and_mean(rate: float, width: int) -> None:
    """Within four standard deviations of a count of independent draws."""
    torch.manual_seed(0)
    out = AxisDropout(rate, shared_dim=1)(torch.ones(3, 5, 101, width))
    error = (rate * (1 - rate) / (3 * 101 * width)) ** 0.5
    assert abs(float((out > 0).float().mean()) - (1 - rate)) < 4 * error
    assert abs(float(out.mean()) - 1) < 4 * error / (1 - rate)


def test_neighbouring_draws_are_independent() -> None:
    torch.manual_seed(0)
    kept = (AxisDropout(0.5, shared_dim=1)(torch.ones(1, 1, 100, 200)) > 0).flatten().double()
    for step in (1, 2, 3):
        assert abs(float(torch.corrcoef(torch.stack([kept[step:], kept[:-step]]))[0, 1])) < 0.03


def test_draws_differ_and_the_seed_decides() -> None:
    module = AxisDropout(0.5, shared_dim=2)
    torch.manual_seed(1)
    first, second = module(ONES), module(ONES)
    torch.manual_seed(1)
    assert torch.equal(module(ONES), first)
    assert not torch.equal(first, second)


def test_identity_in_evaluation_and_at_rate_zero() -> None:
    assert AxisDropout(0.5, shared_dim=1).eval()(ONES) is ONES
    assert AxisDropout(0.0, shared_dim=1)(ONES) is ONES


def test_gradient_is_the_mask_itself() -> None:
    torch.manual_seed(0)
    z = (3 * ONES).requires_grad_()
    out = AxisDropout(0.25, shared_dim=1)(z)
    out.sum().backward()
    assert torch.equal(z.grad, out.detach() / 3)
