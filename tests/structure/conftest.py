"""Ideal chains with known answers."""

from collections.abc import Callable

import numpy as np
import pytest

from foldwright.chem.backbone_geometry import BOND_ANGLES, BOND_LENGTHS

IdealBackbone = Callable[[int, float, float], np.ndarray]


def place_atom(
    before: tuple[np.ndarray, np.ndarray, np.ndarray], bond: float, angle: float, dihedral: float
) -> np.ndarray:
    """Place the atom after three others by internal coordinates."""
    a, b, c = before
    bc = (c - b) / np.linalg.norm(c - b)
    normal = np.cross(b - a, bc)
    normal /= np.linalg.norm(normal)
    local = bond * np.array(
        [-np.cos(angle), np.sin(angle) * np.cos(dihedral), np.sin(angle) * np.sin(dihedral)]
    )
    return c + np.stack([bc, np.cross(normal, bc), normal], axis=1) @ local


def build(length: int, phi_degrees: float, psi_degrees: float) -> np.ndarray:
    phi, psi = np.radians(phi_degrees), np.radians(psi_degrees)
    trace = [np.array([0.0, 1.46, 0.0]), np.zeros(3), np.array([1.52, 0.0, 0.0])]
    steps = (
        (("C", "N"), ("CA", "C", "N"), psi),
        (("N", "CA"), ("C", "N", "CA"), np.pi),
        (("CA", "C"), ("N", "CA", "C"), phi),
    )
    for _ in range(length):
        for bond, angle, dihedral in steps:
            before = (trace[-3], trace[-2], trace[-1])
            trace.append(place_atom(before, BOND_LENGTHS[bond], BOND_ANGLES[angle], dihedral))
    atoms = np.array(trace)[: 3 * length]
    backbone = np.empty((length, 4, 3))
    for i in range(length):
        n, ca, c = atoms[3 * i : 3 * i + 3]
        backbone[i, :3] = n, ca, c
        backbone[i, 3] = place_atom(
            (n, ca, c), BOND_LENGTHS["C", "O"], BOND_ANGLES["CA", "C", "O"], psi + np.pi
        )
    return backbone


@pytest.fixture(scope="session")
def ideal_backbone() -> IdealBackbone:
    """N, CA, C, O of a chain with the same phi and psi (degrees) everywhere, omega 180."""
    return build
