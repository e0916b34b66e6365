from math import cos, pi, sin, sqrt

import pytest

from foldwright.chem.backbone_geometry import (
    BOND_ANGLES,
    BOND_LENGTHS,
    CA_CA_BREAK,
    CA_CA_CIS,
    CA_CA_OVERLAP,
    CA_CA_TRANS,
)


def ca_distance(omega: float) -> float:
    """CA-CA distance over one peptide bond with dihedral angle omega, in closed form."""
    a, b, c = BOND_LENGTHS["CA", "C"], BOND_LENGTHS["C", "N"], BOND_LENGTHS["N", "CA"]
    first, second = BOND_ANGLES["CA", "C", "N"], BOND_ANGLES["C", "N", "CA"]
    along = b - a * cos(first) - c * cos(second)
    side, height = a * sin(first), c * sin(second)
    return sqrt(along**2 + side**2 + height**2 - 2 * side * height * cos(omega))


def test_ca_distances_follow_from_bonds_and_angles() -> None:
    assert ca_distance(pi) == pytest.approx(CA_CA_TRANS, abs=0.02)
    assert ca_distance(0.0) == pytest.approx(CA_CA_CIS, abs=0.15)


def test_angles_around_the_carbonyl_carbon_are_planar() -> None:
    around = BOND_ANGLES["CA", "C", "N"] + BOND_ANGLES["CA", "C", "O"] + BOND_ANGLES["O", "C", "N"]
    assert around == pytest.approx(2 * pi, abs=1e-3)


def test_break_limits_leave_room_for_both_peptide_forms() -> None:
    assert CA_CA_OVERLAP < CA_CA_CIS - 0.3 < CA_CA_TRANS + 0.3 < CA_CA_BREAK
