"""Sums of factorised pairs brought back to one rank: exact where it suffices, best where not."""

import pytest
import torch

from foldwright.nn.pair import FactorizedPair
from foldwright.nn.pair_recompression import (
    RankMix,
    RankTruncation,
    add_pairs,
    truncate_rank,
)
from tests.nn.random_blocks import normal, with_random_weights


def pair(rank: int, *, n: int = 9, seed: int = 1, requires_grad: bool = False) -> FactorizedPair:
    left, right = (normal(2, n, rank, 4, seed=s) for s in (seed, seed + 1))
    return FactorizedPair(left.requires_grad_(requires_grad), right.requires_grad_(requires_grad))


def test_rank_mix_is_the_linear_map_it_says() -> None:
    mix = with_random_weights(RankMix(2))
    z, update = pair(2), pair(2, seed=3)
    expected = sum(
        mix.left[1, q] * (z.left[:, :, q] if q < 2 else update.left[:, :, q - 2]) for q in range(4)
    )
    torch.testing.assert_close(mix(z, update).left[:, :, 1], expected)


def test_sum_is_exact_at_twice_the_rank() -> None:
    a, b = pair(2), pair(3, seed=3)
    torch.testing.assert_close(add_pairs(a, b).materialise(), a.materialise() + b.materialise())


@pytest.mark.parametrize("rank", [2, 3, 5])
def test_truncation_is_exact_where_the_rank_suffices(rank: int) -> None:
    z = pair(2)
    twice = add_pairs(z, z)
    short = truncate_rank(twice, rank)
    assert short.left.shape[2] == short.right.shape[2] == rank
    torch.testing.assert_close(short.materialise(), twice.materialise())


def test_gradient_holds_the_leading_vectors() -> None:
    z = pair(5, requires_grad=True)
    weight = normal(2, 9, 9, 4, seed=9)
    ours = torch.autograd.grad(
        (truncate_rank(z, 3).materialise() * weight).sum(), [z.left, z.right]
    )
    with torch.no_grad():
        vectors = torch.linalg.svd(z.materialise().permute(0, 3, 1, 2)).Vh[..., :3, :]
        projection = vectors.transpose(-1, -2) @ vectors
    projected = torch.einsum("bijc,bcjk->bikc", z.materialise(), projection)
    theirs = torch.autograd.grad((projected * weight).sum(), [z.left, z.right])
    for one, two in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, two)


def test_truncation_is_the_best_pair_of_its_rank() -> None:
    z = pair(5)
    best = torch.linalg.svd(z.materialise().permute(0, 3, 1, 2))
    cut = (best.U[..., :3] * best.S[..., None, :3]) @ best.Vh[..., :3, :]
    torch.testing.assert_close(truncate_rank(z, 3).materialise().permute(0, 3, 1, 2), cut)


def test_truncation_adds_and_keeps_the_rank() -> None:
    z, update = pair(3), pair(3, seed=5)
    expected = truncate_rank(add_pairs(z, update), 3)
    found = RankTruncation()(z, update)
    assert torch.equal(found.left, expected.left)
    assert torch.equal(found.right, expected.right)


def test_chains_shorter_than_the_rank() -> None:
    z = pair(6, n=3)
    torch.testing.assert_close(truncate_rank(z, 4).materialise(), z.materialise())


def test_equal_singular_values_and_zeros_have_finite_gradients() -> None:
    eye = torch.eye(4, dtype=torch.float64)[None, :, :, None].repeat(1, 1, 1, 2)
    eye[..., 1] = 0
    left, right = eye.clone().requires_grad_(), eye.clone().requires_grad_()
    short = truncate_rank(FactorizedPair(left, right), 2).materialise()
    for gradient in torch.autograd.grad(short.square().sum(), [left, right]):
        assert bool(torch.isfinite(gradient).all())


def test_padding_stays_zero() -> None:
    z = pair(4)
    real = (torch.arange(9) < 6)[None, :, None, None]
    short = truncate_rank(FactorizedPair(z.left * real, z.right * real), 2)
    assert short.left[:, 6:].abs().max() < 1e-12
    assert short.right[:, 6:].abs().max() < 1e-12
    whole = truncate_rank(FactorizedPair(z.left[:, :6], z.right[:, :6]), 2)
    torch.testing.assert_close(short.materialise()[:, :6, :6], whole.materialise())
