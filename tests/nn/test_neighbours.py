"""Neighbours are the right ones, each once, and only real residues."""

import pytest
import torch

from foldwright.nn import neighbours
from foldwright.nn.neighbours import choose_neighbours
from tests.nn.random_blocks import normal


def everyone(n: int) -> torch.Tensor:
    return torch.ones(1, n, dtype=torch.bool)


def test_by_coordinate_are_the_nearest_in_order() -> None:
    positions = normal(2, 12, 3)
    index, present = choose_neighbours(
        positions, everyone(12).expand(2, -1), count=5, choice="coordinate"
    )
    expected = torch.cdist(positions, positions).sort(dim=-1).indices[..., :5]
    assert torch.equal(index, expected)
    assert present.all()


def test_by_sequence_ignores_coordinates() -> None:
    index, _ = choose_neighbours(normal(1, 9, 3), everyone(9), count=3, choice="sequence")
    assert index[0, 4].tolist() == [4, 3, 5]
    assert index[0, 0].tolist() == [0, 1, 2]


def test_hybrid_always_holds_the_window() -> None:
    positions = normal(1, 30, 3)
    index, _ = choose_neighbours(positions, everyone(30), count=9, choice="hybrid")
    for i in range(2, 28):
        assert set(range(i - 2, i + 3)) <= set(index[0, i].tolist())
    near = torch.cdist(positions, positions)[0, 15]
    near[13:18] = torch.inf
    assert set(index[0, 15, 5:].tolist()) == set(near.argsort()[:4].tolist())


@pytest.mark.parametrize("choice", ["coordinate", "sequence", "hybrid"])
def test_each_once_and_itself_first_and_no_padding(choice: neighbours.NeighbourChoice) -> None:
    mask = everyone(11).clone()
    mask[:, 8:] = False
    index, present = choose_neighbours(normal(1, 11, 3), mask, count=10, choice=choice)
    assert torch.equal(index[0, :8, 0], torch.arange(8))
    for row, there in zip(index[0, :8], present[0, :8], strict=True):
        assert sorted(row[there].tolist()) == list(range(8))
    assert not present[0, 8:].any()


def test_count_beyond_the_chain_is_the_chain() -> None:
    index, present = choose_neighbours(normal(1, 4, 3), everyone(4), count=64, choice="coordinate")
    assert index.shape == (1, 4, 4)
    assert present.all()


def test_chunks_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    positions, mask = normal(1, 40, 3), everyone(40)
    whole = choose_neighbours(positions, mask, count=6, choice="hybrid")[0]
    monkeypatch.setattr(neighbours, "_CHUNK_ELEMENTS", 120)
    assert torch.equal(choose_neighbours(positions, mask, count=6, choice="hybrid")[0], whole)


@pytest.mark.parametrize("choice", ["coordinate", "hybrid"])
def test_ties_go_to_the_lower_index(choice: neighbours.NeighbourChoice) -> None:
    """On a grid nearly every distance is there several times; within a run all are zero."""
    positions = torch.cartesian_prod(*[torch.arange(3.0)] * 3)[
        None, torch.randperm(27, generator=torch.Generator().manual_seed(0))
    ]
    positions = torch.cat([positions, torch.zeros(1, 9, 3)], dim=1)
    index, _ = choose_neighbours(positions, everyone(36), count=8, choice=choice)
    distance = (positions[0][:, None] - positions[0]).square().sum(-1)
    window = 2 if choice == "hybrid" else 0  # itself comes first in any case
    separation = (torch.arange(36)[:, None] - torch.arange(36)).abs()
    distance = torch.where(separation <= window, separation - 3.0, distance)
    assert torch.equal(index[0], distance.sort(dim=-1, stable=True).indices[:, :8])
