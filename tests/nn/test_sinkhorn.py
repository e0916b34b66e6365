"""Doubly stochastic for any logits, with the right gradient."""

import pytest
import torch

from foldwright.nn.sinkhorn import doubly_stochastic
from tests.nn.random_blocks import normal


def sums_error(matrix: torch.Tensor) -> float:
    rows, columns = matrix.sum(-1) - 1, matrix.sum(-2) - 1
    return float(torch.maximum(rows.abs().max(), columns.abs().max()))


@pytest.mark.parametrize("spread", [0.1, 1.0, 5.0, 100.0, 1e4])
@pytest.mark.parametrize("m", [1, 2, 4, 8])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 2e-6), (torch.float64, 1e-14)])
def test_rows_and_columns_sum_to_one(m, spread, dtype, tolerance) -> None:
    found = doubly_stochastic((spread * normal(50, m, m)).to(dtype))
    assert found.dtype == dtype
    assert (found >= 0).all()
    assert sums_error(found) <= tolerance


def test_equal_logits_give_equal_shares_and_a_permutation_stays_one() -> None:
    torch.testing.assert_close(doubly_stochastic(torch.full((4, 4), 7.0)), torch.full((4, 4), 0.25))
    permutation = torch.eye(5)[torch.tensor([2, 0, 4, 1, 3])]
    torch.testing.assert_close(doubly_stochastic(200 * permutation), permutation)


def test_two_by_two_against_its_closed_form() -> None:
    """exp([[a, b], [c, d]]) scales to [[p, q], [q, p]] with p / q = exp((a + d - b - c) / 2)."""
    logits = normal(20, 2, 2)
    ratio = torch.exp((logits[:, 0, 0] + logits[:, 1, 1] - logits[:, 0, 1] - logits[:, 1, 0]) / 2)
    found = doubly_stochastic(logits, iterations=60)
    torch.testing.assert_close(found[:, 0, 0], ratio / (1 + ratio))


def test_scaling_rows_and_columns_changes_nothing() -> None:
    logits = normal(10, 4, 4)
    moved = logits + normal(10, 4, 1, seed=2) + normal(10, 1, 4, seed=3)
    found, again = (doubly_stochastic(x, iterations=200) for x in (logits, moved))
    torch.testing.assert_close(found, again, atol=1e-9, rtol=0)


def test_more_rounds_come_closer_before_the_rest_is_filled_up(monkeypatch) -> None:
    monkeypatch.setattr("foldwright.nn.sinkhorn._fill_up", lambda matrix: matrix)
    logits = 2 * normal(100, 4, 4)
    errors = [sums_error(doubly_stochastic(logits, iterations=rounds)) for rounds in (1, 5, 20)]
    assert errors[0] > 0.1
    assert errors[2] < errors[1] < errors[0]


@pytest.mark.parametrize("spread", [1.0, 4.0])
@pytest.mark.parametrize("iterations", [3, 20])
def test_gradient(spread: float, iterations: int) -> None:
    logits = (spread * normal(3, 4, 4)).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda x: doubly_stochastic(x, iterations=iterations), (logits,), atol=1e-6
    )


def test_only_the_logits_are_kept_between_the_passes() -> None:
    logits = normal(64, 4, 4).requires_grad_()
    kept: list[int] = []

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        kept.append(tensor.numel())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        doubly_stochastic(logits * 1.0)
    assert sum(kept) <= 2 * logits.numel()


def test_low_precision_is_computed_in_float32() -> None:
    logits = normal(20, 4, 4).bfloat16()
    found = doubly_stochastic(logits)
    assert found.dtype == torch.float32
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(doubly_stochastic(logits), found)


@pytest.mark.parametrize("m", [1, 2, 3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gradient_stays_small_where_nothing_is_left_to_fill_up(m: int, dtype) -> None:
    """Rows that sum to one exactly, beside columns that do not by rounding alone."""
    logits = torch.cat([normal(500, m, m), torch.zeros(1, m, m)]).to(dtype).requires_grad_()
    weights = normal(m, m, seed=3).to(dtype)
    (doubly_stochastic(logits, iterations=40) * weights).sum().backward()
    assert torch.isfinite(logits.grad).all()
    assert logits.grad.abs().max() < 3
