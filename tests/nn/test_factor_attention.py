"""Attention on factors gives the dense result row by row; its projection is least squares."""

import pytest
import torch

from foldwright.nn import factor_attention
from foldwright.nn.axial_attention import AxialAttention
from foldwright.nn.factor_attention import FactorizedRowAttention, span_projector
from foldwright.nn.pair import FactorizedPair
from foldwright.nn.triangle import TriangleAttention
from tests.nn.random_blocks import lengths_mask, normal, pair_mask, with_random_weights

NODES = pytest.mark.parametrize("node", ["starting", "ending"])
KINDS = pytest.mark.parametrize("kind", [TriangleAttention, AxialAttention])


@pytest.fixture(autouse=True)
def several_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(factor_attention, "_CHUNK_ELEMENTS", 400)


def factors(lengths: list[int], n: int, dtype: torch.dtype = torch.float64) -> FactorizedPair:
    real = lengths_mask(lengths, n)[..., None, None]
    left, right = (normal(len(lengths), n, 3, 6, seed=s) * real for s in (1, 2))
    return FactorizedPair(left.to(dtype).requires_grad_(), right.to(dtype).requires_grad_())


@NODES
@KINDS
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-11), (torch.float32, 1e-5)])
def test_rows_are_those_of_the_dense_block(
    kind: type, node: str, dtype: torch.dtype, tolerance: float
) -> None:
    z, mask, real = factors([9, 6], 9, dtype), lengths_mask([9, 6], 9), pair_mask([9, 6], 9)
    block = with_random_weights(kind(6, 3, num_heads=2, node=node), dtype=dtype)
    ours = FactorizedRowAttention(block).materialised_update(z, mask) * real[..., None]
    theirs = block(z.materialise(), real) * real[..., None]
    torch.testing.assert_close(ours, theirs, atol=tolerance, rtol=tolerance)
    weight = normal(*ours.shape, seed=5, dtype=dtype)
    inputs = [z.left, z.right, *block.parameters()]
    for one, two in zip(
        torch.autograd.grad((ours * weight).sum(), inputs),
        torch.autograd.grad((theirs * weight).sum(), inputs),
        strict=True,
    ):
        size = max(1.0, two.abs().max().item())
        torch.testing.assert_close(one, two, atol=10 * tolerance * size, rtol=0)


@NODES
def test_update_is_the_dense_one_projected_on_the_present_factors(node: str) -> None:
    z, mask, real = factors([9, 6], 9), lengths_mask([9, 6], 9), pair_mask([9, 6], 9)
    block = with_random_weights(TriangleAttention(6, 3, num_heads=2, node=node))
    update = FactorizedRowAttention(block)(z, mask)
    changed, still, fixed = update.left, update.right, z.right
    dense = block(z.materialise(), real) * real[..., None]
    if node == "ending":
        changed, still, fixed = update.right, update.left, z.left
        dense = dense.transpose(1, 2)
    assert still.abs().max() == 0
    by_channel = dense[0].permute(2, 0, 1), fixed[0].permute(2, 0, 1)
    best = torch.linalg.lstsq(by_channel[1], by_channel[0].transpose(1, 2)).solution
    torch.testing.assert_close(changed[0].permute(2, 1, 0), best, atol=1e-4, rtol=1e-4)


def test_projector_finds_the_coefficients_of_what_lies_in_the_span() -> None:
    factor, wanted = normal(2, 12, 3, 4), normal(2, 5, 3, 4, seed=2)
    mask = lengths_mask([12, 8], 12)
    rows = torch.einsum("birc,bjrc->bijc", wanted, factor * mask[..., None, None])
    found = torch.einsum("bijc,bjrc->birc", rows, span_projector(factor, mask))
    torch.testing.assert_close(found, wanted, atol=1e-4, rtol=1e-4)


def test_projector_of_dependent_columns_is_finite() -> None:
    factor = normal(1, 6, 1, 2).repeat(1, 1, 3, 1)
    factor[..., 1] = 0
    factor.requires_grad_()
    weights = span_projector(factor, torch.ones(1, 6, dtype=torch.bool))
    (gradient,) = torch.autograd.grad(weights.square().sum(), factor)
    assert bool(torch.isfinite(weights).all() and torch.isfinite(gradient).all())


def test_padded_factors_change_nothing() -> None:
    z, mask = factors([9, 6], 9), lengths_mask([9, 6], 9)
    block = with_random_weights(TriangleAttention(6, 3, num_heads=2, node="starting"))
    update = FactorizedRowAttention(block)(z, mask)
    tail = ~mask[..., None, None] * normal(2, 9, 3, 6, seed=8)
    other = FactorizedRowAttention(block)(FactorizedPair(z.left + tail, z.right + tail), mask)
    torch.testing.assert_close(update.left, other.left)
    assert update.left[~mask].abs().max() == 0
