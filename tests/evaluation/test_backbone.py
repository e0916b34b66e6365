import pytest
import torch

from foldwright.evaluation.backbone import score_backbone
from tests.evaluation.conftest import build_backbone, build_trace

SHARES = ("ideal_bond_share", "ideal_angle_share", "trans_omega_share")


def test_an_ideal_helix_is_ideal():
    scores = score_backbone(build_backbone(20, -60, -45), "A" * 20)
    assert scores is not None
    assert [getattr(scores, name) for name in SHARES] == [1, 1, 1]
    lengths = (scores.n_ca, scores.ca_c, scores.c_n, scores.c_o)
    assert lengths == pytest.approx((1.459, 1.525, 1.336, 1.229), abs=1e-4)
    angles = (scores.n_ca_c_deg, scores.ca_c_n_deg, scores.c_n_ca_deg)
    assert angles == pytest.approx((111.0, 117.2, 121.7), abs=1e-2)
    assert scores.negative_phi_share == 1
    assert (scores.helix_box_share, scores.strand_box_share, scores.left_box_share) == (1, 0, 0)


@pytest.mark.parametrize(
    ("phi", "psi", "box"),
    [
        (-60, -45, "helix_box_share"),
        (-120, 130, "strand_box_share"),
        (-150, -170, "strand_box_share"),
        (60, 45, "left_box_share"),
    ],
)
def test_each_region_has_its_box(phi: float, psi: float, box: str):
    scores = score_backbone(build_backbone(12, phi, psi), "A" * 12)
    assert scores is not None
    assert getattr(scores, box) == 1
    assert scores.helix_box_share + scores.strand_box_share + scores.left_box_share == 1


def test_a_mirror_image_has_positive_phi():
    mirrored = build_backbone(20, -60, -45) * torch.tensor([-1.0, 1.0, 1.0])
    scores = score_backbone(mirrored, "A" * 20)
    assert scores is not None
    assert scores.negative_phi_share == 0
    assert scores.left_box_share == 1


def test_one_broken_peptide_bond_is_seen():
    broken = build_backbone(20, -120, 130)
    broken[10:] += torch.tensor([5.0, 0.0, 0.0])
    scores = score_backbone(broken, "A" * 20)
    assert scores is not None
    assert scores.ideal_bond_share == pytest.approx(78 / 79)


def test_glycine_counts_only_where_all_is_glycine():
    left = build_backbone(12, 60, 45)
    glycine = score_backbone(left, "A" + "G" * 10 + "A")
    bare = score_backbone(left, "G" * 12)
    assert glycine is not None
    assert bare is not None
    assert glycine.negative_phi_share is None
    assert bare.negative_phi_share == 0


def test_c_alpha_alone_has_no_backbone_scores():
    coords = torch.full((10, 4, 3), torch.nan)
    coords[:, 1] = build_trace(10)
    assert score_backbone(coords, "A" * 10) is None


def test_a_missing_oxygen_leaves_the_rest():
    coords = build_backbone(10, -60, -45)
    coords[:, 3] = torch.nan
    scores = score_backbone(coords, "A" * 10)
    assert scores is not None
    assert scores.c_o is None
    assert scores.ideal_bond_share == 1
