"""What N, C and O add: bond lengths, bond angles, torsions."""

from dataclasses import dataclass
from math import degrees, pi, radians

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from foldwright.chem.backbone_geometry import BOND_ANGLES, BOND_LENGTHS
from foldwright.evaluation.trace import known, mean, share, within
from foldwright.geometry.torsion import bond_angle, dihedral_angle

BOND_TOLERANCE = 0.05
"""Å a bond may differ from its ideal length."""

ANGLE_TOLERANCE = radians(10.0)
"""How much a bond angle may differ from its ideal value; about three standard deviations."""

TRANS_OMEGA = radians(150.0)

HELIX_BOX = ((radians(-100.0), radians(-30.0)), (radians(-80.0), radians(-5.0)))
"""Ranges of phi and psi of right-handed helices."""

LEFT_BOX = ((radians(30.0), radians(100.0)), (radians(-20.0), radians(90.0)))
"""Ranges of phi and psi of left-handed helices."""

STRAND_PHI = (radians(-180.0), radians(-40.0))
STRAND_PSI = ((radians(60.0), pi), (-pi, radians(-150.0)))


@dataclass(frozen=True)
class BackboneScores:
    """Scores of N, CA, C and O. A value is None where its atoms are missing everywhere.

    Attributes:
        n_ca: mean bond length in Å, likewise `ca_c`, `c_n` (peptide bond) and `c_o`.
        n_ca_c_deg: mean bond angle in degrees, likewise `ca_c_n_deg` and `c_n_ca_deg`.
        ideal_bond_share: share of these bonds within 0.05 Å of their ideal lengths.
        ideal_angle_share: share of these angles within 10 degrees of their ideal values.
        trans_omega_share: share of peptides with an omega beyond 150 degrees either way.
        negative_phi_share: share of phi below 0. Glycine is left out of this and the next
            three, unless the whole chain is glycine, as a backbone without a sequence is.
        helix_box_share: phi -100 to -30 and psi -80 to -5 degrees.
        strand_box_share: phi -180 to -40 and psi over 60 or under -150 degrees.
        left_box_share: phi 30 to 100 and psi -20 to 90 degrees.
    """

    n_ca: float | None
    ca_c: float | None
    c_n: float | None
    c_o: float | None
    n_ca_c_deg: float | None
    ca_c_n_deg: float | None
    c_n_ca_deg: float | None
    ideal_bond_share: float | None
    ideal_angle_share: float | None
    trans_omega_share: float | None
    negative_phi_share: float | None
    helix_box_share: float | None
    strand_box_share: float | None
    left_box_share: float | None


def score_backbone(coords: Float[Tensor, "n 4 3"], sequence: str) -> BackboneScores | None:
    """Score N, CA, C and O in Å (NaN = missing); None if no residue has N and C."""
    coords = coords.double()
    if coords[:, (0, 2)].isnan().any(dim=-1).any(dim=-1).all():
        return None
    bonds, angles = _bonds(coords), _angles(coords)
    bond_errors = [values - BOND_LENGTHS[atoms] for atoms, values in bonds.items()]
    angle_errors = [values - BOND_ANGLES[atoms] for atoms, values in angles.items()]
    n, ca, c = coords[:, 0], coords[:, 1], coords[:, 2]
    omega = known(dihedral_angle(ca[:-1], c[:-1], n[1:], ca[1:]))
    length = {atoms: mean(values) for atoms, values in bonds.items()}
    angle = {atoms: _mean_degrees(values) for atoms, values in angles.items()}
    return BackboneScores(
        n_ca=length["N", "CA"],
        ca_c=length["CA", "C"],
        c_n=length["C", "N"],
        c_o=length["C", "O"],
        n_ca_c_deg=angle["N", "CA", "C"],
        ca_c_n_deg=angle["CA", "C", "N"],
        c_n_ca_deg=angle["C", "N", "CA"],
        ideal_bond_share=share(torch.cat(bond_errors).abs() <= BOND_TOLERANCE),
        ideal_angle_share=share(torch.cat(angle_errors).abs() <= ANGLE_TOLERANCE),
        trans_omega_share=share(omega.abs() >= TRANS_OMEGA),
        **_ramachandran(coords, sequence),
    )


def _bonds(coords: Float[Tensor, "n 4 3"]) -> dict[tuple[str, str], Tensor]:
    n, ca, c, o = coords.unbind(dim=1)
    ends = {
        ("N", "CA"): (n, ca),
        ("CA", "C"): (ca, c),
        ("C", "N"): (c[:-1], n[1:]),
        ("C", "O"): (c, o),
    }
    return {
        atoms: known(torch.linalg.vector_norm(first - second, dim=-1))
        for atoms, (first, second) in ends.items()
    }


def _angles(coords: Float[Tensor, "n 4 3"]) -> dict[tuple[str, str, str], Tensor]:
    n, ca, c, _ = coords.unbind(dim=1)
    return {
        ("N", "CA", "C"): known(bond_angle(n, ca, c)),
        ("CA", "C", "N"): known(bond_angle(ca[:-1], c[:-1], n[1:])),
        ("C", "N", "CA"): known(bond_angle(c[:-1], n[1:], ca[1:])),
    }


def _ramachandran(coords: Float[Tensor, "n 4 3"], sequence: str) -> dict[str, float | None]:
    """Shares of the inner residues with a phi and a psi."""
    n, ca, c, _ = coords.unbind(dim=1)
    phi = dihedral_angle(c[:-2], n[1:-1], ca[1:-1], c[1:-1])
    psi = dihedral_angle(n[1:-1], ca[1:-1], c[1:-1], n[2:])
    counted = ~(phi.isnan() | psi.isnan()) & _with_side_chain(sequence)[1:-1]
    phi, psi = phi[counted], psi[counted]
    psi_in_strand = within(psi, STRAND_PSI[0]) | within(psi, STRAND_PSI[1])
    return {
        "negative_phi_share": share(phi < 0),
        "helix_box_share": share(within(phi, HELIX_BOX[0]) & within(psi, HELIX_BOX[1])),
        "strand_box_share": share(within(phi, STRAND_PHI) & psi_in_strand),
        "left_box_share": share(within(phi, LEFT_BOX[0]) & within(psi, LEFT_BOX[1])),
    }


def _with_side_chain(sequence: str) -> Bool[Tensor, " n"]:
    """Every residue but glycine, which is free to turn left; all of a chain of glycines."""
    bare = set(sequence) == {"G"}
    return torch.tensor([bare or letter != "G" for letter in sequence])


def _mean_degrees(angles: Float[Tensor, " k"]) -> float | None:
    return degrees(angles.mean().item()) if len(angles) else None
