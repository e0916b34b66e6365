"""Backbones with known dihedrals, built atom by atom."""

from collections.abc import Callable
from itertools import pairwise
from math import radians

import pytest
import torch

from foldwright.geometry.torsion import place_atom

ChainBuilder = Callable[..., torch.Tensor]


def build_chain(
    phi_psi: list[tuple[float, float]], *, cis: frozenset[int] = frozenset()
) -> torch.Tensor:
    """(n, 4, 3) in float64 from degrees; units after the residues in `cis` are cis."""
    atoms = [torch.tensor([1.46, 0.0, 0.0]), torch.zeros(3), torch.tensor([-0.55, 1.42, 0.0])]
    atoms = [atom.double() for atom in atoms]
    for i, ((_, psi), (phi, _)) in enumerate(pairwise(phi_psi)):
        omega = 0.0 if i in cis else 180.0
        for length, angle, dihedral in (
            (1.33, 116.6, psi),
            (1.46, 126.5 if i in cis else 121.6, omega),
            (1.525, 111.1, phi),
        ):
            placed = {"length": length, "angle": radians(angle), "dihedral": radians(dihedral)}
            atoms.append(place_atom(*atoms[-3:], **placed))
    n, ca, c = torch.stack(atoms).reshape(-1, 3, 3).unbind(1)
    turn = torch.deg2rad(torch.tensor([psi for _, psi in phi_psi], dtype=torch.float64)) + torch.pi
    o = place_atom(n, ca, c, length=1.232, angle=radians(120.5), dihedral=turn)
    return torch.stack([n, ca, c, o], dim=1)


@pytest.fixture(scope="session")
def ideal_chain() -> ChainBuilder:
    return build_chain


@pytest.fixture(scope="session")
def mixed_chain() -> torch.Tensor:
    """Helix, loop, strand, turn, strand: 45 residues with some scatter in the dihedrals."""
    helix, strand, loop = (-63.0, -43.0), (-115.0, 130.0), (-75.0, 145.0)
    plan = [helix] * 16 + [loop, (-90.0, 0.0), loop] + [strand] * 11
    plan += [(-60.0, -30.0), (-90.0, 0.0)] + [strand] * 11 + [loop] * 2
    noise = 4 * torch.randn(len(plan), 2, generator=torch.Generator().manual_seed(0))
    shaken = [(a + float(x), b + float(y)) for (a, b), (x, y) in zip(plan, noise, strict=True)]
    return build_chain(shaken)
