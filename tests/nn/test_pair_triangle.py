"""The triangle product of factors is the dense contraction, to rounding, forward and backward."""

import pytest
import torch

from foldwright.nn.pair import FactorizedPair
from foldwright.nn.pair_recompression import RankMix
from foldwright.nn.pair_triangle import (
    FactorizedTriangleMultiplication,
    FactorTransition,
    multiply_triangles,
)
from foldwright.nn.triangle import TriangleDirection
from tests.nn.random_blocks import normal, with_random_weights

DENSE = {"outgoing": "bikc,bjkc->bijc", "incoming": "bkic,bkjc->bijc"}


def factors(rank: int, seed: int, dtype: torch.dtype, n: int = 9) -> list[torch.Tensor]:
    return [
        (normal(2, n, rank, 4, seed=s, dtype=torch.float64) / rank**0.5).to(dtype).requires_grad_()
        for s in (seed, seed + 1)
    ]


@pytest.mark.parametrize("direction", ["outgoing", "incoming"])
@pytest.mark.parametrize(("rank", "other"), [(1, 1), (3, 2), (8, 8), (16, 5)])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-11), (torch.float32, 1e-5)])
def test_exact(
    direction: TriangleDirection, rank: int, other: int, dtype: torch.dtype, tolerance: float
) -> None:
    inputs = factors(rank, 1, dtype) + factors(other, 5, dtype)
    a, b = FactorizedPair(*inputs[:2]), FactorizedPair(*inputs[2:])
    product = multiply_triangles(a, b, direction=direction)
    assert product.left.shape[2] == product.right.shape[2] == other
    found = product.materialise()
    expected = torch.einsum(DENSE[direction], a.materialise(), b.materialise())
    size = expected.abs().max().item()
    assert (found - expected).abs().max().item() <= tolerance * size
    weight = normal(*found.shape, seed=9, dtype=dtype)
    ours = torch.autograd.grad((found * weight).sum(), inputs)
    theirs = torch.autograd.grad((expected * weight).sum(), inputs)
    for one, two in zip(ours, theirs, strict=True):
        assert (one - two).abs().max() <= tolerance * max(two.abs().max().item(), 1)


def block(direction: TriangleDirection) -> FactorizedTriangleMultiplication:
    return with_random_weights(FactorizedTriangleMultiplication(4, 6, direction=direction))


@pytest.mark.parametrize("direction", ["outgoing", "incoming"])
def test_padding_does_not_enter_the_sum(direction: TriangleDirection) -> None:
    left, right = normal(1, 7, 2, 4), normal(1, 7, 2, 4, seed=2)
    mask = torch.ones(1, 7, dtype=torch.bool)
    mask[:, 5:] = False
    whole = block(direction)(FactorizedPair(left, right), mask)
    cut = block(direction)(FactorizedPair(left[:, :5], right[:, :5]), mask[:, :5])
    torch.testing.assert_close(whole.left[:, :5], cut.left)
    torch.testing.assert_close(whole.right[:, :5], cut.right)


def test_directions_differ_by_exchange_of_the_factors_of_the_contraction() -> None:
    z = FactorizedPair(normal(1, 5, 2, 4), normal(1, 5, 2, 4, seed=2))
    mask = torch.ones(1, 5, dtype=torch.bool)
    assert not torch.allclose(block("outgoing")(z, mask).left, block("incoming")(z, mask).left)


def test_fresh_blocks_leave_the_pair_as_it_is() -> None:
    z = FactorizedPair(normal(1, 5, 2, 4).float(), normal(1, 5, 2, 4, seed=2).float())
    mask = torch.ones(1, 5, dtype=torch.bool)
    mix = RankMix(2)
    update = FactorizedTriangleMultiplication(4, 6, direction="outgoing")(z, mask)
    for added in (update, FactorTransition(4, 2)(z)):
        mixed = mix(z, added)
        assert torch.equal(mixed.left, z.left)
        assert torch.equal(mixed.right, z.right)
