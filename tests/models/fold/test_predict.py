"""Whole predictions of a small random network: same seed, same bytes."""

from pathlib import Path

import pytest
import torch

from foldwright.models.fold import predict, seeded_fold_draws
from foldwright.models.fold.arrays import inputs_from_arrays
from foldwright.models.fold.config import FoldSamplerConfig
from foldwright.models.fold.inputs import FoldInputs
from foldwright.models.fold.network.fold_network import FoldNetwork
from foldwright.models.fold.network.trunk import shuffled_rows
from foldwright.models.fold.weights.load import load_fold
from tests.models.fold.golden_files import TINY, load_fold_golden

SETTINGS = FoldSamplerConfig(num_recycles=1, steps=2)


@pytest.fixture(scope="module")
def network(shared_golden: Path) -> FoldNetwork:
    return load_fold(shared_golden / "af3" / "model_s55.bin.zst", TINY)


@pytest.fixture(scope="module")
def inputs(shared_golden: Path) -> FoldInputs:
    return inputs_from_arrays(
        load_fold_golden(shared_golden / "af3" / "model_s55.npz").batch(), "model_s55"
    )


def test_same_seed_same_bytes_whatever_the_number_of_samples(
    network: FoldNetwork, inputs: FoldInputs
) -> None:
    draws = seeded_fold_draws(inputs, 7)
    two = predict(network, inputs, SETTINGS, num_samples=2, draws=draws)
    one = predict(network, inputs, SETTINGS, num_samples=1, draws=seeded_fold_draws(inputs, 7))
    assert torch.equal(two.positions[0], one.positions[0])
    assert torch.equal(two.confidence[0].lddt, one.confidence[0].lddt)
    assert not torch.equal(two.positions[0], two.positions[1])
    other = predict(network, inputs, SETTINGS, num_samples=1, draws=seeded_fold_draws(inputs, 8))
    assert not torch.equal(one.positions[0], other.positions[0])
    assert (one.positions[0][~inputs.reference.real] == 0).all()


def test_rows_are_shuffled_with_the_covered_ones_first() -> None:
    covered = torch.tensor([True, False, True, True, False])
    orders = [
        shuffled_rows(covered, torch.Generator().manual_seed(seed)).tolist() for seed in range(50)
    ]
    assert all(sorted(order) == [0, 1, 2, 3, 4] for order in orders)
    assert all(set(order[:3]) == {0, 2, 3} for order in orders)
    assert {order[0] for order in orders} == {0, 2, 3}
