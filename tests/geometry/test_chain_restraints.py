"""Restraints reach what they promise and leave good chains alone."""

import math

import numpy as np
import torch

from foldwright.geometry.chain_restraints import BOND, restrain_trace


def helix(num_residues: int) -> torch.Tensor:
    """An ideal right-handed alpha helix: 100° and 1.5 Å per residue."""
    turn = math.radians(100) * torch.arange(num_residues, dtype=torch.float64)
    rise = 1.5 * torch.arange(num_residues, dtype=torch.float64)
    radius = math.sqrt((BOND**2 - 1.5**2) / (2 - 2 * math.cos(math.radians(100))))
    return torch.stack([radius * turn.cos(), radius * turn.sin(), rise], dim=-1)


def bonds(ca: torch.Tensor) -> torch.Tensor:
    return (ca[1:] - ca[:-1]).norm(dim=-1)


def test_an_ideal_helix_stays_where_it_is() -> None:
    ca = helix(40)
    torch.testing.assert_close(restrain_trace(ca), ca, atol=1e-9, rtol=0)


def test_noise_on_bonds_is_removed_by_small_moves() -> None:
    generator = torch.Generator().manual_seed(0)
    noised = helix(60) + 0.3 * torch.randn(60, 3, generator=generator, dtype=torch.float64)
    assert (bonds(noised) - BOND).abs().max() > 0.5
    held = restrain_trace(noised)
    assert (bonds(held) - BOND).abs().max() < 0.02
    moved = (held - noised).square().sum(-1).mean().sqrt()
    assert moved < 0.6


def test_two_strands_on_top_of_each_other_are_parted() -> None:
    x = torch.arange(12, dtype=torch.float64) * 3.5
    there = torch.stack([x, torch.zeros(12), torch.zeros(12)], dim=-1)
    zigzag = torch.tensor([0.0, 1.4]).repeat(6)
    there[:, 1] = zigzag
    back = there.flip(0) + torch.tensor([0.0, 0.0, 2.0])
    held = restrain_trace(torch.cat([there, back]))
    distance = torch.cdist(held, held)
    apart = torch.ones_like(distance).triu(3) > 0
    assert distance[apart].min() > 3.6
    assert (bonds(held) - BOND).abs().max() < 0.05


def test_turning_and_moving_first_gives_the_same() -> None:
    generator = torch.Generator().manual_seed(1)
    ca = helix(30) + 0.5 * torch.randn(30, 3, generator=generator, dtype=torch.float64)
    turn = torch.linalg.qr(torch.randn(3, 3, generator=generator, dtype=torch.float64)).Q
    shift = torch.tensor([100.0, -20.0, 3.0], dtype=torch.float64)
    torch.testing.assert_close(
        restrain_trace(ca @ turn.T + shift), restrain_trace(ca) @ turn.T + shift
    )


def test_chains_of_one_two_and_coincident_residues() -> None:
    one = torch.zeros(1, 3)
    torch.testing.assert_close(restrain_trace(one), one)
    two = restrain_trace(torch.tensor([[0.0, 0, 0], [1.0, 0, 0]]))
    np.testing.assert_allclose(bonds(two), [BOND], atol=1e-5)
    assert torch.isfinite(restrain_trace(torch.zeros(10, 3))).all()


def test_natural_distances_are_kept() -> None:
    """A trace within 0.1 Å of ideal bonds moves by less than that."""
    ca = helix(50)
    ca[::7] += 0.05
    held = restrain_trace(ca)
    assert (held - ca).norm(dim=-1).max() < 0.1
