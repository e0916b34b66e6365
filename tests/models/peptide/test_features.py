"""Structure features: an ideal helix has known ones, and they do not turn with the structure."""

import math

import numpy as np
import torch

from foldwright.models.peptide.features import (
    CONFIDENCE,
    CONTACTS,
    DISTANCES,
    NUM_FEATURES,
    TORSIONS,
    StructureFeatures,
)
from tests.models.peptide.small_peptide_models import helix_backbone

LENGTH = 12


def describe(backbone: np.ndarray, exists: np.ndarray | None = None) -> StructureFeatures:
    present = np.ones(backbone.shape[:2], dtype=bool) if exists is None else exists
    return StructureFeatures.of_structure(
        backbone, present, np.full(len(backbone), 85.0, dtype=np.float32)
    )


def test_a_helix() -> None:
    found = describe(helix_backbone(LENGTH))
    values = found.values[0]
    assert values.shape == (LENGTH, NUM_FEATURES)
    assert torch.allclose(values[:, CONFIDENCE], torch.full((LENGTH, 1), 0.85))
    torsions = values[:, TORSIONS].reshape(LENGTH, 3, 3)
    # cosine, sine, existence: phi lacks at the first residue, psi and omega at the last
    assert torsions[:, :, 2].sum(0).tolist() == [LENGTH - 1] * 3
    assert torsions[0, 0].tolist() == [0.0] * 3
    assert torsions[-1, 1:].abs().sum() == 0
    phi, psi, omega = (
        math.degrees(math.atan2(float(row[1]), float(row[0]))) for row in torsions[5]
    )
    assert abs(phi + 63) < 12
    assert abs(psi + 42) < 12
    assert abs(abs(omega) - 180) < 12
    assert set(found.secondary[0, 2:-2].tolist()) == {1}
    assert bool(found.mask.all())


def test_distances_are_shares_and_contacts_are_counts() -> None:
    values = describe(helix_backbone(LENGTH)).values[0]
    # 8 Å in an alpha helix: residues i±2 to i±5 are near, further ones are not
    ca = helix_backbone(LENGTH)[:, 1]
    distance = np.linalg.norm(ca[:, None] - ca[None], axis=-1)
    span = np.abs(np.subtract.outer(np.arange(LENGTH), np.arange(LENGTH)))
    for column, (low, high) in enumerate(((2, 3), (4, 6), (7, LENGTH))):
        wanted = ((distance < 8) & (span >= low) & (span <= high)).sum(1) / 4
        assert np.allclose(values[:, CONTACTS][:, column].numpy(), wanted)
    # the Gaussians of a grid with widths of its spacing add to about sqrt(2 pi) within it
    inner = values[5, DISTANCES].sum()
    assert abs(float(inner) - math.sqrt(2 * math.pi)) < 0.1


def test_turning_and_moving_the_structure_changes_nothing() -> None:
    backbone = helix_backbone(LENGTH)
    angle = 0.7
    turn = np.array(
        [[math.cos(angle), -math.sin(angle), 0], [math.sin(angle), math.cos(angle), 0], [0, 0, 1]]
    )
    moved = (backbone @ turn.T + np.array([3.0, -2.0, 9.0])).astype(np.float32)
    assert torch.allclose(describe(moved).values, describe(backbone).values, atol=1e-4)
    mirrored = backbone * np.array([1, 1, -1], dtype=np.float32)
    sines = describe(mirrored).values[0, 3, TORSIONS].reshape(3, 3)[:2, 1]
    assert torch.allclose(sines, -describe(backbone).values[0, 3, TORSIONS].reshape(3, 3)[:2, 1])


def test_an_angle_that_passes_half_a_turn_does_not_jump() -> None:
    backbone = helix_backbone(LENGTH)
    omega = describe(backbone).values[0, 5, TORSIONS].reshape(3, 3)[2]
    assert float(omega[0]) < -0.95
    nudged = backbone.copy()
    nudged[6, 0] += 0.02
    moved = describe(nudged).values[0, 5, TORSIONS].reshape(3, 3)[2]
    assert float((moved - omega).abs().max()) < 0.1


def test_missing_atoms_take_their_torsions_and_distances_with_them() -> None:
    backbone = helix_backbone(LENGTH)
    exists = np.ones((LENGTH, 4), dtype=bool)
    exists[4, 1] = False
    garbage = backbone.copy()
    garbage[4, 1] = 1e3
    found, other = describe(backbone, exists), describe(garbage, exists)
    assert torch.allclose(found.values, other.values, atol=1e-5)
    torsions = found.values[0, :, TORSIONS].reshape(LENGTH, 3, 3)[..., 2]
    assert torsions[4].tolist() == [0.0, 0.0, 0.0]
    assert torsions[3].tolist() == [1.0, 1.0, 0.0]
    assert found.values[0, 4, DISTANCES].sum() == 0
    assert torch.isfinite(found.values).all()


def test_stacking_pads_and_dropping_takes_the_whole_block() -> None:
    long, short = describe(helix_backbone(LENGTH)), describe(helix_backbone(7))
    both = StructureFeatures.stack([long, None, short], LENGTH)
    assert both.mask.sum(1).tolist() == [LENGTH, 0, 7]
    assert torch.equal(both.values[2, :7], short.values[0])
    assert both.values[1].abs().sum() == 0
    kept = both.keep(torch.tensor([False, True, True]))
    assert kept.mask.sum(1).tolist() == [0, 0, 7]
    assert kept.values[0].abs().sum() == 0
    assert kept.secondary[0].sum() == 0
    assert torch.equal(kept.values[2], both.values[2])
