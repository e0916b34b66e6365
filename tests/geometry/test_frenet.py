"""Frenet frames of helices and of chains that bend, stop short or go straight."""

import pytest
import torch
from torch import Tensor

from foldwright.geometry.frenet import frenet_frames
from tests.geometry.rotations import MIRROR, random_rotations
from tests.golden_numbers import assert_close


def walk(num_chains: int, num_residues: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    step = torch.randn(num_chains, num_residues, 3, generator=generator, dtype=torch.float64)
    return (3.8 * torch.nn.functional.normalize(step, dim=-1)).cumsum(1)


def everything(ca: Tensor) -> Tensor:
    return torch.ones(ca.shape[:2], dtype=torch.bool)


def test_right_angles_by_hand() -> None:
    """Steps along x, y and z: the columns follow from the cross products."""
    ca = torch.tensor([[[0, 0, 0], [3, 0, 0], [3, 4, 0], [3, 4, 5]]]).double()
    rots = frenet_frames(ca, everything(ca))[0]
    tangent_y, binormal_z, normal = [0, 1, 0], [0, 0, 1], [-1, 0, 0]
    assert_close(rots[1].T, torch.tensor([tangent_y, binormal_z, normal]), 1e-9)
    tangent_z, binormal_x, normal = [0, 0, 1], [1, 0, 0], [0, -1, 0]
    assert_close(rots[2].T, torch.tensor([tangent_z, binormal_x, normal]), 1e-9)
    assert_close(rots[0], rots[1], 0)
    assert_close(rots[3], rots[2], 0)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-8), (torch.float32, 1e-4)])
def test_left_handed_and_orthonormal(dtype: torch.dtype, tolerance: float) -> None:
    ca = walk(4, 30).to(dtype)
    rots = frenet_frames(ca, everything(ca))
    assert rots.dtype == dtype
    assert_close(rots.mT @ rots, torch.eye(3).expand(4, 30, 3, 3), tolerance)
    assert_close(torch.linalg.det(rots), -torch.ones(4, 30), tolerance)


def test_frames_turn_with_the_chain_and_do_not_move() -> None:
    ca = walk(2, 12)
    turn = random_rotations()
    moved = frenet_frames(ca @ turn.T + 100, everything(ca))
    assert_close(moved, turn @ frenet_frames(ca, everything(ca)), 1e-9)


def test_mirror_image_has_the_opposite_binormal() -> None:
    """A reflection keeps the tangent and the normal but not their cross product."""
    ca = walk(1, 12)
    rots = frenet_frames(ca, everything(ca))
    mirrored = frenet_frames(ca @ MIRROR, everything(ca))
    signs = torch.tensor([1.0, -1.0, 1.0])
    assert_close(mirrored, MIRROR @ rots * signs, 1e-9)


def test_one_helix_has_one_frame_seen_from_each_residue() -> None:
    turn = torch.arange(10).double() * torch.deg2rad(torch.tensor(100.0)).double()
    ca = torch.stack([2.3 * turn.cos(), 2.3 * turn.sin(), 1.5 * torch.arange(10)], -1)[None]
    rots = frenet_frames(ca, everything(ca))[0]
    relative = rots[1:-2].mT @ rots[2:-1]
    assert_close(relative, relative[:1].expand_as(relative), 1e-8)


@pytest.mark.parametrize("num_chains", [1, 2, 3, 5])
def test_chain_among_others_and_padded_is_the_chain_alone(num_chains: int) -> None:
    """Batches of three are the ones that the original program gets wrong."""
    lengths = [3, 9, 5, 12, 4][:num_chains]
    ca = walk(num_chains, 12)
    mask = torch.arange(12) < torch.tensor(lengths)[:, None]
    rots = frenet_frames(ca * mask[..., None], mask)
    for row, length in enumerate(lengths):
        alone = ca[row : row + 1, :length]
        assert_close(rots[row : row + 1, :length], frenet_frames(alone, everything(alone)), 1e-12)
    padding = rots[~mask]
    assert_close(padding, torch.eye(3).expand_as(padding), 0)


@pytest.mark.parametrize("length", [0, 1, 2])
def test_short_chains_get_the_identity(length: int) -> None:
    for width in (length, 8):
        ca = walk(2, width)
        mask = torch.arange(width).expand(2, width) < length
        rots = frenet_frames(ca, mask)
        assert rots.shape == (2, width, 3, 3)
        assert torch.equal(rots, torch.eye(3).double().expand_as(rots))


def test_straight_chain_has_no_binormal_and_finite_gradients() -> None:
    ca = torch.zeros(1, 6, 3, dtype=torch.float64)
    ca[0, :, 0] = 3.8 * torch.arange(6)
    ca.requires_grad_()
    rots = frenet_frames(ca, everything(ca))
    assert_close(rots[..., 0], torch.tensor([1.0, 0, 0]).expand(1, 6, 3), 1e-9)
    assert_close(rots[..., 1:], torch.zeros(1, 6, 3, 2), 1e-9)
    rots.square().sum().backward()
    assert torch.isfinite(ca.grad).all()


def test_coincident_atoms_give_finite_frames_and_gradients() -> None:
    ca = walk(1, 8)
    ca[0, 3:6] = ca[0, 3]
    ca.requires_grad_()
    rots = frenet_frames(ca, everything(ca))
    assert torch.isfinite(rots).all()
    rots.sum().backward()
    assert torch.isfinite(ca.grad).all()
