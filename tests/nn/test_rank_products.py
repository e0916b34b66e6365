"""Products over ranks are the einsums they stand for, forward and backward, at every rank."""

import pytest
import torch

from foldwright.nn.rank_products import apply_ranks, contract_residues
from tests.nn.random_blocks import normal

RANKS = [(1, 1), (2, 3), (4, 2), (17, 3), (3, 17)]


@pytest.mark.parametrize(("r", "s"), RANKS)
@pytest.mark.parametrize("shape", ["own", "one for all", "of the item"])
def test_apply(r: int, s: int, shape: str) -> None:
    factors = normal(2, 5, r, 4).requires_grad_()
    b, c = {"own": (2, 4), "one for all": (1, 1), "of the item": (2, 1)}[shape]
    matrix = normal(b, r, s, c, seed=2).requires_grad_()
    found = apply_ranks(factors, matrix)
    expected = torch.einsum("bmrc,brsc->bmsc", factors, matrix.expand(2, -1, -1, 4))
    _check(found, expected, [factors, matrix])


@pytest.mark.parametrize(("r", "s"), RANKS)
def test_contract(r: int, s: int) -> None:
    one, two = normal(2, 5, r, 4).requires_grad_(), normal(2, 5, s, 4, seed=2).requires_grad_()
    _check(contract_residues(one, two), torch.einsum("bmrc,bmsc->brsc", one, two), [one, two])


def test_half_precision_gradients_have_the_dtype_of_what_they_are_of() -> None:
    factors = normal(1, 5, 2, 4).bfloat16().requires_grad_()
    matrix = normal(1, 2, 2, 4, seed=2).float().requires_grad_()
    apply_ranks(factors, matrix).sum().backward()
    assert (factors.grad.dtype, matrix.grad.dtype) == (torch.bfloat16, torch.float32)


def _check(found: torch.Tensor, expected: torch.Tensor, inputs: list[torch.Tensor]) -> None:
    torch.testing.assert_close(found, expected)
    weight = normal(*found.shape, seed=9)
    ours = torch.autograd.grad((found * weight).sum(), inputs)
    theirs = torch.autograd.grad((expected * weight).sum(), inputs)
    for one, two in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, two)
