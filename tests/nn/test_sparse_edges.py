"""Edges of neighbour lists are the ones a search by hand finds."""

import torch

from foldwright.nn.pair import SparsePair
from foldwright.nn.sparse_edges import NeighbourGraph
from tests.nn.sparse_pairs import random_lists


def test_third_and_reverse_edges_by_hand() -> None:
    pair = random_lists(2, 7, 4, seed=3)
    index, present = pair.index, pair.present
    graph = NeighbourGraph.of(pair)
    edge, exists = graph.third_edges(slice(0, 14))
    reverse, returns = graph.reverse_edges()
    lists = [
        [(int(j) if p else None) for j, p in zip(index[b, i], present[b, i], strict=True)]
        for b in range(2)
        for i in range(7)
    ]
    found = 0
    for m, near in enumerate(lists):
        first = m // 7 * 7
        for p, j in enumerate(near):
            assert bool(returns[m, p]) is (j is not None and m - first in lists[first + j])
            if returns[m, p]:
                assert int(reverse[m, p]) == (first + j) * 4 + lists[first + j].index(m - first)
            for q, last in enumerate(near):
                there = None not in (j, last) and last in lists[first + j]
                assert bool(exists[m, p, q]) is there
                if there:
                    found += 1
                    assert int(edge[m, p, q]) == (first + j) * 4 + lists[first + j].index(last)
    assert found > 20


def test_residues_without_neighbours_have_no_edges() -> None:
    nobody = torch.zeros(1, 3, 2, dtype=torch.bool)
    pair = SparsePair(torch.zeros(1, 3, 2, 1), torch.zeros(1, 3, 2, dtype=torch.int64), nobody)
    graph = NeighbourGraph.of(pair)
    assert not graph.third_edges(slice(0, 3))[1].any()
    assert not graph.reverse_edges()[1].any()
