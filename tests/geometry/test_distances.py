import pytest
import torch

from foldwright.geometry import distances
from foldwright.geometry.distances import (
    close_pairs,
    contact_counts,
    count_close_pairs,
    pairwise_distances,
)


@pytest.fixture
def points() -> torch.Tensor:
    return 8 * torch.rand(60, 3, generator=torch.Generator().manual_seed(0))


@pytest.fixture(params=[1, 130, 1 << 20])
def block_size(request, monkeypatch):
    monkeypatch.setattr(distances, "_BLOCK_ELEMENTS", request.param)


def test_distances_of_a_right_triangle():
    corners = torch.tensor([[0.0, 0.0, 0.0], [3.0, 0.0, 0.0], [3.0, 4.0, 0.0]])
    expected = torch.tensor([[0.0, 3.0, 5.0], [3.0, 0.0, 4.0], [5.0, 4.0, 0.0]])
    torch.testing.assert_close(pairwise_distances(corners, corners), expected)
    torch.testing.assert_close(pairwise_distances(corners[:2], corners), expected[:2])


def test_distances_hold_far_from_the_origin(points):
    near = pairwise_distances(points.double(), points.double())
    far = pairwise_distances(points + 4096.0, points + 4096.0)
    torch.testing.assert_close(far.double(), near, rtol=0, atol=1e-3)


def test_coinciding_points_have_gradient_zero():
    points = torch.zeros(3, 3, requires_grad=True)
    pairwise_distances(points, points).sum().backward()
    torch.testing.assert_close(points.grad, torch.zeros(3, 3))


@pytest.mark.parametrize("separation", [1, 3, 59, 60])
def test_reductions_agree_with_the_full_matrix_whatever_the_block(points, separation, block_size):
    index = torch.arange(60)
    near = (pairwise_distances(points, points) < 3) & (index - index[:, None] >= separation)
    pairs = close_pairs(points, 3.0, min_separation=separation)
    assert pairs.tolist() == near.nonzero().tolist()
    assert count_close_pairs(points, 3.0, min_separation=separation) == int(near.sum())
    expected = near.sum(0) + near.sum(1)
    assert contact_counts(points, 3.0, min_separation=separation).tolist() == expected.tolist()


def test_the_cutoff_itself_is_not_close():
    line = torch.arange(5.0)[:, None] * torch.tensor([1.0, 0.0, 0.0])
    assert count_close_pairs(line, 2.0) == 4
    assert close_pairs(line, 2.0).tolist() == [[0, 1], [1, 2], [2, 3], [3, 4]]


def test_missing_points_and_empty_chains_have_no_contacts(points):
    whole = count_close_pairs(points[1:], 3.0)
    points[0] = torch.nan
    assert count_close_pairs(points, 3.0) == whole
    assert int(contact_counts(points, 3.0)[0]) == 0
    assert close_pairs(points[:0], 3.0).shape == (0, 2)
    assert contact_counts(points[:0], 3.0).shape == (0,)


def test_a_separation_of_zero_is_refused(points):
    with pytest.raises(ValueError, match="at least 1: got 0"):
        count_close_pairs(points, 3.0, min_separation=0)


def test_no_block_holds_the_full_matrix(monkeypatch):
    seen = []
    whole = distances.pairwise_distances

    def watched(first, second):
        seen.append(len(first) * len(second))
        return whole(first, second)

    monkeypatch.setattr(distances, "pairwise_distances", watched)
    monkeypatch.setattr(distances, "_BLOCK_ELEMENTS", 1000)
    count_close_pairs(torch.zeros(300, 3), 1.0)
    assert max(seen) <= 1000
    assert sum(seen) < 300 * 300
