from math import sqrt

import pytest
import torch

from foldwright.evaluation.fold import radius_of_gyration, score_fold
from tests.evaluation.conftest import build_trace


def test_radius_of_gyration_of_evenly_spaced_points():
    line = torch.zeros(20, 3)
    line[:, 0] = 3.8 * torch.arange(20) + 100
    assert radius_of_gyration(line) == pytest.approx(3.8 * sqrt((20**2 - 1) / 12), rel=1e-5)


def test_one_contact_of_a_square():
    square = torch.tensor([[0.0, 0, 0], [3.8, 0, 0], [3.8, 3.8, 0], [0, 3.8, 0]])
    scores = score_fold(square)
    assert scores.contacts == 2 / 4
    assert scores.long_range_contacts == 0
    assert scores.contact_order == 3 / 4


def test_contacts_of_a_hairpin_are_long_range_from_twelve_apart():
    # Residues i and 19 - i stand side by side, 5 Å apart; the next but one are out of reach.
    up = torch.stack([torch.zeros(10), 3.8 * torch.arange(10), torch.zeros(10)], dim=1)
    down = up.flip(0) + torch.tensor([5.0, 0, 0])
    scores = score_fold(torch.cat([up, down]))
    pairs = [
        (i, j) for i in range(10) for j in range(10, 20) if abs(19 - j - i) <= 1 and j - i >= 3
    ]
    assert scores.contacts == 2 * len(pairs) / 20
    assert scores.long_range_contacts == 2 * sum(j - i >= 12 for i, j in pairs) / 20
    expected = sum(j - i for i, j in pairs) / len(pairs) / 20
    assert scores.contact_order == pytest.approx(expected)


def test_a_straight_chain_has_no_contact_order():
    scores = score_fold(build_trace(20, angle=179.9, dihedral=180))
    assert scores.contacts == 0
    assert scores.contact_order is None


def test_helices_and_strands_are_told_apart():
    helix = score_fold(build_trace(40))
    strand = score_fold(build_trace(40, angle=124, dihedral=-170))
    assert helix.helix > 0.9
    assert not helix.strand_rich
    assert strand.strand > 0.9
    assert strand.strand_rich
    assert helix.helix + helix.strand + helix.coil == pytest.approx(1)


def test_the_hand_of_a_helix_is_for_the_dihedrals_to_tell():
    """P-SEA does not see it, as the docstring says."""
    assert score_fold(build_trace(40, dihedral=-50)).helix > 0.9
