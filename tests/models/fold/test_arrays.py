"""Named feature arrays: complete, fitting, and refused with every problem."""

import numpy as np
import pytest
import torch

from foldwright.models.fold.arrays import inputs_from_arrays
from foldwright.models.fold.features import bond_matrix, distance_bins, template_directions
from foldwright.models.fold.inputs import Gather
from foldwright.runtime.errors import InputError
from tests.models.fold.golden_files import LoadGolden


def test_features_of_an_example(fold_golden: LoadGolden) -> None:
    golden = fold_golden("model_s55")
    inputs = inputs_from_arrays(golden.batch(), "model_s55")
    assert len(inputs.tokens) == 28
    assert inputs.tokens.mask.sum() == 23
    assert inputs.layout.queries_to_keys.index.shape == (5, 128)  # 16 of 21 windows are empty


def test_every_missing_and_misshapen_array_is_named(fold_golden: LoadGolden) -> None:
    arrays = fold_golden("model_s55").batch()
    del arrays["asym_id"]
    arrays["ref_pos"] = arrays["ref_pos"][:, :5]
    arrays["tokens_to_keys:gather_mask"] = arrays["tokens_to_keys:gather_mask"][1:]
    with pytest.raises(InputError) as caught:
        inputs_from_arrays(arrays, "job")
    assert len(caught.value.problems) == 3
    assert "has no array asym_id" in str(caught.value)
    assert "ref_pos has shape (28, 5, 3), expected (n 24 3)" in str(caught.value)
    assert "tokens_to_keys:gather_mask has shape (20, 128)" in str(caught.value)


def test_no_arrays_at_all() -> None:
    with pytest.raises(InputError, match="has no array token_index"):
        inputs_from_arrays({}, "nothing")


def test_gather_takes_flattened_and_masks() -> None:
    gather = Gather(torch.tensor([[5, 0]]), torch.tensor([[True, False]]))
    source = torch.arange(12.0).view(2, 3, 2)
    assert gather.take(source, dims=2).tolist() == [[[10.0, 11.0], [0.0, 0.0]]]
    assert gather.take(source[:, :, 0] > 3, dims=2).tolist() == [[True, False]]


def test_bonds_point_one_way_and_unused_slots_leave_no_mark() -> None:
    bonds = torch.tensor([[1, 2], [0, 0], [3, 0]])
    matrix = bond_matrix(bonds, 4, torch.float32)
    assert matrix.nonzero().tolist() == [[1, 2], [3, 0]]


def test_distance_bins_against_the_definition() -> None:
    positions = torch.tensor(np.random.default_rng(0).normal(size=(40, 3)) * 20).float()
    positions[1] = positions[0] + torch.tensor([3.25, 0, 0])  # on the lowest edge: no bin
    distances = torch.cdist(positions.double(), positions.double())
    lower = torch.linspace(3.25, 50.75, 39).double()
    upper = torch.cat([lower[1:], torch.tensor([1e4]).double()])
    inside = (distances[..., None] > lower) & (distances[..., None] < upper)
    expected = torch.where(inside.any(-1), inside.int().argmax(-1) + 1, 0)
    off_edge = ((distances[..., None] - lower).abs() > 1e-4).all(-1)
    found = distance_bins(positions)
    assert torch.equal(found[off_edge], expected[off_edge])
    assert found.diagonal().eq(0).all()


def test_directions_do_not_change_with_the_frame_and_survive_degenerate_backbones() -> None:
    generator = torch.Generator().manual_seed(0)
    positions = torch.randn(6, 24, 3, generator=generator) * 5
    present = torch.ones(6, dtype=torch.bool)
    turn = torch.linalg.qr(torch.randn(3, 3, generator=generator))[0]
    turn = turn * torch.linalg.det(turn).sign()
    moved = positions @ turn.T + 7
    here, there = template_directions(positions, present), template_directions(moved, present)
    torch.testing.assert_close(here, there, rtol=0, atol=1e-5)
    first = here[0, 1]
    assert float(first.norm()) == pytest.approx(1, abs=1e-5)
    assert torch.isfinite(template_directions(torch.zeros(6, 24, 3), present)).all()
