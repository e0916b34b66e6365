"""Sparse triangles of a chain miss part of the sums with short lists, nothing with full ones."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from foldwright.nn.neighbours import choose_neighbours
from foldwright.nn.pair import SparsePair
from foldwright.nn.sparse_triangle import SparseRowAttention, SparseTriangleMultiplication
from foldwright.nn.triangle import TriangleAttention, TriangleMultiplication
from foldwright.structure.io import read_structure
from tests.nn.random_blocks import normal, with_random_weights
from tests.nn.sparse_pairs import at_lists


def helix(length: int) -> Tensor:
    index = torch.arange(length, dtype=torch.float64)
    turn = torch.deg2rad(100 * index)
    return torch.stack([2.3 * turn.cos(), 2.3 * turn.sin(), 1.5 * index], dim=-1)


def errors(ca: Tensor, block: torch.nn.Module, sparse: torch.nn.Module) -> list[float]:
    """Relative error of the sparse block with 6, 18 and all neighbours."""
    n = len(ca)
    basis = torch.exp(-(((torch.cdist(ca, ca)[..., None] - 5 * torch.arange(6)) / 4) ** 2))
    dense = (basis @ normal(6, 6, seed=4))[None]
    every = torch.ones(1, n, n, dtype=torch.bool)
    found = []
    for count in (6, 18, n):
        index, present = choose_neighbours(
            ca[None], torch.ones(1, n, dtype=torch.bool), count=count, choice="hybrid"
        )
        at = index[..., None].expand(-1, -1, -1, 6)
        pair = SparsePair(dense.gather(2, at), index, present)
        wanted = at_lists(block(dense, every), pair)
        difference = (sparse(pair) - wanted).square().mean() / wanted.square().mean()
        found.append(difference.sqrt().item())
    return found


def check(ca: Tensor) -> None:
    multiplication = with_random_weights(TriangleMultiplication(6, 8, direction="outgoing"))
    attention = with_random_weights(TriangleAttention(6, 4, num_heads=2, node="starting"))
    for block, sparse in (
        (multiplication, SparseTriangleMultiplication(multiplication)),
        (attention, SparseRowAttention(attention)),
    ):
        few, some, every = errors(ca, block, sparse)
        assert every < 1e-10
        assert 1e-3 < some < 1
        assert 1e-3 < few < 1


def test_a_helix() -> None:
    check(helix(36))


@pytest.mark.parametrize("name", ["1crn.cif.gz", "5pti.cif"])
def test_a_real_chain(shared_data: Path, name: str) -> None:
    (chain, *_) = read_structure(shared_data / "files" / name).protein_chains
    ca = torch.as_tensor(chain.ca, dtype=torch.float64)
    check(ca[torch.isfinite(ca).all(-1)])
