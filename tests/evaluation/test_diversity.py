import pytest
import torch

from foldwright.evaluation.diversity import MOST_PAIRS, _spread_pairs, measure_diversity
from tests.evaluation.conftest import build_trace


def test_copies_have_no_diversity():
    trace = build_trace(40)
    turned = trace.flip(1) * torch.tensor([1.0, 1.0, -1.0]) + 7
    found = measure_diversity([trace, turned, trace + 3])
    assert (found.num_pairs, found.pairs_of_one_length) == (3, 3)
    assert found.mean_tm == pytest.approx(1, abs=1e-3)
    assert found.same_fold_share == 1


def test_a_mirror_image_is_another_fold():
    trace = build_trace(60)
    found = measure_diversity([trace, trace * torch.tensor([1.0, 1.0, -1.0])])
    assert found.highest_tm is not None
    assert found.highest_tm < 0.7


def test_a_helix_is_no_strand():
    strand = build_trace(60, angle=124, dihedral=-170)
    found = measure_diversity([build_trace(60), strand])
    assert found.same_fold_share == 0


def test_only_complete_traces_of_one_length_are_compared():
    broken = build_trace(40)
    broken[3] = torch.nan
    found = measure_diversity([build_trace(40), build_trace(41), broken])
    assert (found.num_pairs, found.mean_tm, found.highest_tm) == (0, None, None)
    assert measure_diversity([]).pairs_of_one_length == 0


def test_all_pairs_are_listed_once():
    traces = [torch.zeros(length, 3) for length in (5, 5, 5, 6, 7, 7)]
    assert list(_spread_pairs(traces, 4)) == [(0, 1), (0, 2), (1, 2), (4, 5)]


def test_many_pairs_are_thinned_evenly():
    traces = [torch.zeros(5, 3)] * 100
    pairs = list(_spread_pairs(traces, MOST_PAIRS))
    assert len(set(pairs)) == MOST_PAIRS
    assert all(first < second < 100 for first, second in pairs)
    assert len({first for first, _ in pairs}) > 60
