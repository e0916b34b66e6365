"""Chunks, with recomputation and without, give the values and gradients of the whole."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from foldwright.nn.residue_chunks import (
    map_recomputed,
    map_residues,
    residues_per_chunk,
    sum_over_residues,
)
from tests.nn.random_blocks import normal


@pytest.mark.parametrize("chunked_map", [map_residues, map_recomputed])
def test_chunks_are_the_whole(chunked_map: Callable[..., tuple[Tensor, ...]]) -> None:
    weight = normal(4, 4, seed=2).requires_grad_()
    x, y = normal(2, 7, 4).requires_grad_(), normal(2, 7, seed=3).requires_grad_()
    sizes = []

    def both(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        sizes.append(x.shape[1])
        return torch.tanh(x @ weight) * y[..., None], y.square()

    def total(x: Tensor, y: Tensor) -> Tensor:
        return (torch.tanh(x @ weight) * y[..., None]).sum(1)

    chunked = (*chunked_map(both, (x, y), rows=3), sum_over_residues(total, (x, y), rows=3))
    assert sizes == [3, 3, 1]
    whole = (*both(x, y), total(x, y))
    inputs = [x, y, weight]
    for one, two in zip(chunked, whole, strict=True):
        torch.testing.assert_close(one, two)
        ours = torch.autograd.grad(one.sin().sum(), inputs, allow_unused=True)
        theirs = torch.autograd.grad(two.sin().sum(), inputs, allow_unused=True)
        for left, right in zip(ours, theirs, strict=True):
            torch.testing.assert_close(left, right)


def test_intermediates_are_not_kept() -> None:
    kept: list[Tensor] = []

    def keep(tensor: Tensor) -> Tensor:
        kept.append(tensor)
        return tensor

    x = normal(1, 8, 4).requires_grad_()
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        map_recomputed(lambda part: (part.exp().sin().tanh(),), (x,), rows=4)
    assert sum(tensor.numel() for tensor in kept) == x.numel()


def test_chunks_do_not_grow_with_the_chain() -> None:
    assert residues_per_chunk(8) * 8 == residues_per_chunk(4) * 4
    assert residues_per_chunk(10**6) == 1
