"""What the C-alpha trace says: bonds, clashes, angles and handedness."""

from dataclasses import dataclass
from math import degrees, radians

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from foldwright.geometry.distances import close_pairs
from foldwright.geometry.torsion import bond_angle, dihedral_angle

TRANS_BOND = (3.6, 4.0)
"""Å between neighbouring C-alpha across a trans peptide."""

CIS_BOND = (2.8, 3.1)
"""Å between neighbouring C-alpha across a cis peptide."""

CLASH_SEPARATION = 3
"""Least difference of residue positions of a pair that can clash or be in contact."""

CLASH_DISTANCES = (3.4, 3.6, 4.0)

NATURAL_ANGLES = (radians(84.0), radians(146.0))
"""From the 1st to the 99th percentile of C-alpha angles in natural chains."""

HELIX_DIHEDRALS = (radians(30.0), radians(75.0))
"""C-alpha dihedrals of right-handed helices; their negatives are the mirror image."""

HELIX_RUN = 4
"""Successive mirror dihedrals that make a left-handed helix: two turns, seven residues."""


@dataclass(frozen=True)
class TraceGeometry:
    """Distances (Å), angles and dihedrals (radians) of successive C-alpha.

    Each array keeps its place along the chain; NaN stands where a C-alpha is missing.
    """

    bonds: Float[Tensor, " bonds"]
    angles: Float[Tensor, " angles"]
    dihedrals: Float[Tensor, " dihedrals"]


@dataclass(frozen=True)
class TraceScores:
    """Scores of one C-alpha trace. A value is None where the chain is too short to have it.

    Attributes:
        num_bonds: neighbouring pairs with both C-alpha.
        bond_share: share of them 3.6-4.0 Å (trans) or 2.8-3.1 Å (cis) apart.
        bond_mean: in Å, as are `bond_min` and `bond_max`.
        clashes_34: pairs three or more residues apart and closer than 3.4 Å, per 1,000
            residues; `clashes_36` and `clashes_40` for 3.6 and 4.0 Å.
        angle_mean_deg: mean C-alpha angle in degrees; `angle_sd_deg` its spread.
        angle_natural_share: share of angles from 84 to 146 degrees.
        num_dihedrals: C-alpha dihedrals of four known C-alpha.
        helix_dihedral_share: share from 30 to 75 degrees, where right-handed helices are.
        mirror_dihedral_share: share from -75 to -30 degrees, where left-handed ones are.
        left_helices: runs of four or more successive mirror dihedrals.
    """

    num_bonds: int
    bond_share: float | None
    bond_mean: float | None
    bond_min: float | None
    bond_max: float | None
    clashes_34: float
    clashes_36: float
    clashes_40: float
    angle_mean_deg: float | None
    angle_sd_deg: float | None
    angle_natural_share: float | None
    num_dihedrals: int
    helix_dihedral_share: float | None
    mirror_dihedral_share: float | None
    left_helices: int


def measure_trace(ca: Float[Tensor, "n 3"]) -> TraceGeometry:
    """Measure a C-alpha trace in Å; rows of NaN are missing residues."""
    ca = ca.double()
    return TraceGeometry(
        bonds=torch.linalg.vector_norm(ca[1:] - ca[:-1], dim=-1),
        angles=bond_angle(ca[:-2], ca[1:-1], ca[2:]),
        dihedrals=dihedral_angle(ca[:-3], ca[1:-2], ca[2:-1], ca[3:]),
    )


def score_trace(ca: Float[Tensor, "n 3"]) -> TraceScores:
    """Score a C-alpha trace in Å; rows of NaN are missing residues and count nowhere."""
    geometry = measure_trace(ca)
    bonds, angles, dihedrals = map(known, (geometry.bonds, geometry.angles, geometry.dihedrals))
    low, high = HELIX_DIHEDRALS
    clashes = _clashes_per_thousand(ca)
    return TraceScores(
        num_bonds=len(bonds),
        bond_share=share(within(bonds, TRANS_BOND) | within(bonds, CIS_BOND)),
        bond_mean=mean(bonds),
        bond_min=bonds.min().item() if len(bonds) else None,
        bond_max=bonds.max().item() if len(bonds) else None,
        clashes_34=clashes[0],
        clashes_36=clashes[1],
        clashes_40=clashes[2],
        angle_mean_deg=degrees(angles.mean().item()) if len(angles) else None,
        angle_sd_deg=degrees(angles.std().item()) if len(angles) > 1 else None,
        angle_natural_share=share(within(angles, NATURAL_ANGLES)),
        num_dihedrals=len(dihedrals),
        helix_dihedral_share=share(within(dihedrals, HELIX_DIHEDRALS)),
        mirror_dihedral_share=share(within(dihedrals, (-high, -low))),
        left_helices=count_runs(within(geometry.dihedrals, (-high, -low)), HELIX_RUN),
    )


def known(values: Float[Tensor, " k"]) -> Float[Tensor, " m"]:
    """Drop NaN."""
    return values[~values.isnan()]


def within(values: Float[Tensor, " k"], bounds: tuple[float, float]) -> Bool[Tensor, " k"]:
    """Say which values lie between two bounds, both included; NaN does not."""
    return (values >= bounds[0]) & (values <= bounds[1])


def share(chosen: Bool[Tensor, " k"]) -> float | None:
    """Share of True, None of nothing."""
    return chosen.double().mean().item() if len(chosen) else None


def mean(values: Float[Tensor, " k"]) -> float | None:
    """Mean value, None of nothing."""
    return values.double().mean().item() if len(values) else None


def count_runs(chosen: Bool[Tensor, " k"], shortest: int) -> int:
    """Count the unbroken runs of at least `shortest` True."""
    padded = torch.nn.functional.pad(chosen.to(torch.int8), (1, 1))
    change = padded[1:] - padded[:-1]
    lengths = (change == -1).nonzero() - (change == 1).nonzero()
    return int((lengths >= shortest).sum())


def _clashes_per_thousand(ca: Float[Tensor, "n 3"]) -> list[float]:
    pairs = close_pairs(ca, max(CLASH_DISTANCES), min_separation=CLASH_SEPARATION)
    distance = torch.linalg.vector_norm(ca[pairs[:, 0]] - ca[pairs[:, 1]], dim=-1)
    num_residues = int((~ca.isnan().any(dim=-1)).sum())
    return [1000 * int((distance < limit).sum()) / num_residues for limit in CLASH_DISTANCES]
