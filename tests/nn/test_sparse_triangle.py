"""Sparse triangles are the dense ones where the lists are full, and masked ones where not."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from foldwright.nn import sparse_triangle
from foldwright.nn.axial_attention import AxialAttention
from foldwright.nn.pair import SparsePair
from foldwright.nn.sparse_triangle import (
    SparseRowAttention,
    SparseTriangleMultiplication,
    multiply_listed_triangles,
)
from foldwright.nn.triangle import TriangleAttention, TriangleDirection, TriangleMultiplication
from tests.nn.random_blocks import normal, pair_mask, with_random_weights
from tests.nn.sparse_pairs import at_lists, pair_at, random_lists, symmetric

DIRECTIONS = pytest.mark.parametrize("direction", ["outgoing", "incoming"])
NODES = pytest.mark.parametrize("node", ["starting", "ending"])
KINDS = pytest.mark.parametrize("kind", [TriangleAttention, AxialAttention])
DENSE = {"outgoing": "bikc,bjkc->bijc", "incoming": "bkic,bkjc->bijc"}


@pytest.fixture(autouse=True)
def several_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sparse_triangle, "_CHUNK_ELEMENTS", 300)


@DIRECTIONS
def test_product_is_the_dense_one_of_the_materialised_pairs(direction: TriangleDirection) -> None:
    a = random_lists(2, 9, 5)
    a = replace(a, values=a.values.requires_grad_())
    b = normal(2, 9, 5, 5, seed=7).requires_grad_()
    found = multiply_listed_triangles(a, b, direction=direction)
    whole = torch.einsum(DENSE[direction], a.materialise(), replace(a, values=b).materialise())
    expected = at_lists(whole, a)
    torch.testing.assert_close(found, expected, atol=1e-12, rtol=1e-12)
    assert expected.abs().max() > 0.1
    weight = normal(*found.shape, seed=9)
    ours = torch.autograd.grad((found * weight).sum(), [a.values, b])
    theirs = torch.autograd.grad((expected * weight).sum(), [a.values, b])
    for one, two in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, two, atol=1e-12, rtol=1e-12)


@DIRECTIONS
def test_gradients_are_the_derivatives(direction: TriangleDirection) -> None:
    pair = random_lists(1, 4, 2, channels=1)

    def product(a: Tensor, b: Tensor) -> Tensor:
        return multiply_listed_triangles(replace(pair, values=a), b, direction=direction)

    inputs = [normal(1, 4, 2, 1, seed=s).requires_grad_() for s in (4, 5)]
    assert torch.autograd.gradcheck(product, inputs)


def full_lists(lengths: list[int], n: int) -> tuple[Tensor, Tensor, SparsePair]:
    real = pair_mask(lengths, n)
    dense = normal(len(lengths), n, n, 6) * real[..., None]
    return dense, real, pair_at(dense, real)


@DIRECTIONS
def test_full_lists_give_the_dense_multiplication(direction: TriangleDirection) -> None:
    dense, real, pair = full_lists([8, 6], 8)
    block = with_random_weights(TriangleMultiplication(6, 4, direction=direction))
    found = SparseTriangleMultiplication(block)(pair)
    torch.testing.assert_close(found, at_lists(block(dense, real), pair))


@NODES
@KINDS
def test_full_lists_give_the_dense_attention(kind: type, node: str) -> None:
    dense, real, pair = full_lists([8, 6], 8)
    block = with_random_weights(kind(6, 3, num_heads=2, node=node))
    found = SparseRowAttention(block)(pair)
    torch.testing.assert_close(found, at_lists(block(dense, real), pair))


@NODES
@KINDS
def test_other_lists_give_the_dense_attention_over_listed_pairs(kind: type, node: str) -> None:
    listed = symmetric(2, 9)
    dense = normal(2, 9, 9, 6) * listed[..., None]
    pair = pair_at(dense, listed)
    block = with_random_weights(kind(6, 3, num_heads=2, node=node))
    block.layer_norm.bias.data.zero_()  # a pair that is not there then has no bias in dense either
    found = SparseRowAttention(block)(pair)
    torch.testing.assert_close(found, at_lists(block(dense, listed), pair))


@NODES
def test_attention_gradients_are_those_of_dense(node: str) -> None:
    dense, real, _ = full_lists([7], 7)
    block = with_random_weights(TriangleAttention(6, 3, num_heads=2, node=node))
    leaf = dense.requires_grad_()
    weight = normal(1, 7, 7, 6, seed=5)
    pair = pair_at(leaf, real)
    ours = (SparseRowAttention(block)(pair) * at_lists(weight, pair)).sum()
    theirs = (block(leaf, real) * weight).sum()
    parameters = [leaf, *block.parameters()]
    for one, two in zip(
        torch.autograd.grad(ours, parameters), torch.autograd.grad(theirs, parameters), strict=True
    ):
        torch.testing.assert_close(one, two)


def test_an_edge_without_its_reverse_is_not_updated_around_the_ending_node() -> None:
    listed = torch.eye(4, dtype=torch.bool)[None].clone()
    listed[0, 0, 1] = listed[0, 2, 3] = listed[0, 3, 2] = True
    pair = pair_at(normal(1, 4, 4, 6), listed)
    block = with_random_weights(TriangleAttention(6, 3, num_heads=2, node="ending"))
    update = replace(pair, values=SparseRowAttention(block)(pair)).materialise()
    assert update[0, 0, 1].abs().max() == 0
    assert update[0, 2, 3].abs().max() > 0.01


def blocks() -> list[torch.nn.Module]:
    multiplication = TriangleMultiplication(6, 4, direction="incoming")
    attention = TriangleAttention(6, 3, num_heads=2, node="ending")
    return [
        SparseTriangleMultiplication(with_random_weights(multiplication)),
        SparseRowAttention(with_random_weights(attention)),
    ]


def test_absent_places_mean_nothing_and_get_nothing() -> None:
    pair = random_lists(2, 7, 4, channels=6)
    absent = ~pair.present
    other = replace(
        pair,
        values=pair.values.masked_fill(absent[..., None], 3.0),
        index=pair.index.masked_fill(absent, 2),
    )
    for block in blocks():
        update = block(pair)
        assert torch.equal(update, block(other))
        assert update[absent].abs().max() == 0


def test_no_neighbours_at_all() -> None:
    pair = random_lists(1, 4, 3, channels=6)
    empty = replace(
        pair,
        values=pair.values.requires_grad_(),
        present=torch.zeros_like(pair.present),
    )
    for block in blocks():
        update = block(empty)
        (gradient,) = torch.autograd.grad(update.sum(), [empty.values], allow_unused=True)
        assert update.abs().max() == 0
        assert gradient is None or gradient.abs().max() == 0
