"""Random and named rotations for tests."""

import math

import torch
from torch import Tensor

from foldwright.geometry.quaternion import quaternion_to_matrix

MIRROR = torch.diag(torch.tensor([1.0, 1.0, -1.0]).double())


def random_rotations(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    """Proper rotations, uniform over the group."""
    generator = torch.Generator().manual_seed(seed)
    quaternion = torch.randn(*shape, 4, generator=generator, dtype=torch.float64)
    return quaternion_to_matrix(quaternion / quaternion.norm(dim=-1, keepdim=True)).to(dtype)


def rotation_about(axis: list[float], degrees: float) -> Tensor:
    """Rotation by Rodrigues' formula, which shares nothing with quaternions."""
    length = math.hypot(*axis)
    x, y, z = (value / length for value in axis)
    cross = torch.tensor([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]], dtype=torch.float64)
    angle = math.radians(degrees)
    identity = torch.eye(3, dtype=torch.float64)
    return identity + math.sin(angle) * cross + (1 - math.cos(angle)) * cross @ cross
