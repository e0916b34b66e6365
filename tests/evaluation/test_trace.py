import pytest
import torch

from foldwright.evaluation.trace import count_runs, measure_trace, score_trace
from tests.evaluation.conftest import build_trace


def test_a_helix_scores_what_it_was_built_from():
    scores = score_trace(build_trace(30))
    assert scores.num_bonds == 29
    assert scores.num_dihedrals == 27
    assert scores.bond_share == 1
    assert (scores.bond_mean, scores.bond_min, scores.bond_max) == pytest.approx((3.8,) * 3)
    assert scores.angle_mean_deg == pytest.approx(91, abs=1e-3)
    assert scores.angle_sd_deg == pytest.approx(0, abs=1e-3)
    assert scores.angle_natural_share == 1
    assert (scores.helix_dihedral_share, scores.mirror_dihedral_share) == (1, 0)
    assert scores.left_helices == 0
    assert scores.clashes_40 == 0


def test_the_mirror_image_of_a_helix_is_left_handed():
    scores = score_trace(build_trace(30) * torch.tensor([1.0, 1.0, -1.0]))
    assert (scores.helix_dihedral_share, scores.mirror_dihedral_share) == (0, 1)
    assert scores.left_helices == 1


def test_angles_are_kept_in_radians_with_their_sign():
    geometry = measure_trace(build_trace(10, angle=110, dihedral=-160))
    assert geometry.angles.rad2deg().numpy() == pytest.approx(110, abs=1e-3)
    assert geometry.dihedrals.rad2deg().numpy() == pytest.approx(-160, abs=1e-3)


@pytest.mark.parametrize(
    ("bond", "share"),
    [(2.75, 0), (2.85, 1), (3.05, 1), (3.15, 0), (3.55, 0), (3.65, 1), (3.95, 1), (4.05, 0)],
)
def test_bonds_are_judged_from_both_sides(bond: float, share: float):
    assert score_trace(build_trace(8, bond=bond, angle=120, dihedral=180)).bond_share == share


def test_clashes_count_pairs_three_apart_per_thousand_residues():
    straight = build_trace(20, angle=179.9, dihedral=180)
    bent = straight.clone()
    bent[12] = straight[4] + torch.tensor([0.0, 0.0, 3.5])
    scores = score_trace(bent)
    assert (scores.clashes_34, scores.clashes_36, scores.clashes_40) == (0, 50, 50)


def test_neighbours_but_one_never_clash():
    hairpin = build_trace(20, angle=179.9, dihedral=180)
    hairpin[10:] = (
        hairpin[8]
        + torch.tensor([0.0, 0.0, 3.0])
        + torch.arange(10)[:, None] * (torch.tensor([0.0, 3.8, 0.0]))
    )
    distance = torch.linalg.vector_norm(hairpin[10] - hairpin[8])
    assert distance == pytest.approx(3.0)
    assert score_trace(hairpin).clashes_40 == 0


def test_all_points_in_one_place_clash_as_often_as_there_are_pairs():
    scores = score_trace(torch.zeros(10, 3))
    assert scores.clashes_34 == 1000 * (10 * 9 / 2 - 9 - 8) / 10
    assert scores.bond_share == 0


def test_missing_residues_count_nowhere_and_break_runs():
    mirror = build_trace(13, dihedral=-50)
    mirror[6] = torch.nan
    scores = score_trace(mirror)
    assert scores.num_bonds == 10
    assert scores.num_dihedrals == 6
    assert scores.mirror_dihedral_share == 1
    assert scores.left_helices == 0
    assert score_trace(build_trace(13, dihedral=-50)).left_helices == 1


def test_where_the_chain_stands_changes_nothing():
    trace = build_trace(40, angle=105, dihedral=70)
    turn = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(1)))[0]
    turn *= torch.linalg.det(turn)
    moved, still = score_trace(trace @ turn.T + 20), score_trace(trace)
    assert moved.angle_mean_deg == pytest.approx(still.angle_mean_deg, abs=1e-3)
    assert moved.helix_dihedral_share == still.helix_dihedral_share
    assert moved.mirror_dihedral_share == still.mirror_dihedral_share
    assert moved.bond_mean == pytest.approx(still.bond_mean, abs=1e-5)


@pytest.mark.parametrize(
    ("chosen", "runs"),
    [("", 0), ("111", 0), ("1111", 1), ("11110111101111111", 3), ("01110", 0), ("1110111", 0)],
)
def test_runs_are_counted_whole(chosen: str, runs: int):
    assert count_runs(torch.tensor([letter == "1" for letter in chosen], dtype=bool), 4) == runs
