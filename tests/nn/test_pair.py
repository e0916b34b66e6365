"""Pair records know the dense tensor they stand for."""

import torch

from foldwright.nn.pair import DensePair, FactorizedPair, SparsePair
from tests.nn.random_blocks import normal


def test_factors_multiply_out_entry_by_entry() -> None:
    left, right = normal(2, 4, 3, 5), normal(2, 4, 3, 5, seed=2)
    dense = FactorizedPair(left, right).materialise()
    for i, j in ((0, 0), (1, 3), (3, 1)):
        expected = sum(left[:, i, r] * right[:, j, r] for r in range(3))
        torch.testing.assert_close(dense[:, i, j], expected)
    assert DensePair(dense).materialise() is dense


def test_sparse_values_go_to_their_places_and_absent_ones_nowhere() -> None:
    values = normal(1, 3, 2, 4)
    index = torch.tensor([[[0, 2], [1, 0], [2, 1]]])
    present = torch.tensor([[[True, True], [True, False], [False, False]]])
    dense = SparsePair(values, index, present).materialise()
    assert torch.equal(dense[0, 0, 2], values[0, 0, 1])
    assert torch.equal(dense[0, 1, 1], values[0, 1, 0])
    assert dense[0, 2].abs().sum() == 0
    assert dense.abs().sum() == values[present].abs().sum()
