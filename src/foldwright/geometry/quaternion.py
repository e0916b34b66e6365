"""Quaternions in the order (w, x, y, z)."""

import torch
from jaxtyping import Float
from torch import Tensor


def quaternion_to_matrix(quaternion: Float[Tensor, "*batch 4"]) -> Float[Tensor, "*batch 3 3"]:
    """Convert a quaternion to a matrix without normalising it.

    A unit quaternion gives a rotation, any other one that rotation scaled by its squared norm.
    """
    w, x, y, z = quaternion.unbind(-1)
    rows = (
        (w * w + x * x - y * y - z * z, 2 * (x * y - w * z), 2 * (x * z + w * y)),
        (2 * (x * y + w * z), w * w - x * x + y * y - z * z, 2 * (y * z - w * x)),
        (2 * (x * z - w * y), 2 * (y * z + w * x), w * w - x * x - y * y + z * z),
    )
    return torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)


def matrix_to_quaternion(matrix: Float[Tensor, "*batch 3 3"]) -> Float[Tensor, "*batch 4"]:
    """Convert proper rotations to unit quaternions with w >= 0.

    The quaternion is the leading eigenvector of the symmetric 4x4 matrix of Bar-Itzhack (2000,
    "New method for extracting the quaternion from a rotation matrix"), which is stable for every
    rotation, half turns included.
    """
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = (
        [matrix[..., i, j] for j in range(3)] for i in range(3)
    )
    rows = (
        (xx + yy + zz, zy - yz, xz - zx, yx - xy),
        (zy - yz, xx - yy - zz, xy + yx, xz + zx),
        (xz - zx, xy + yx, yy - xx - zz, yz + zy),
        (yx - xy, xz + zx, yz + zy, zz - xx - yy),
    )
    symmetric = torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)
    quaternion = torch.linalg.eigh(symmetric).eigenvectors[..., -1]
    return torch.where(quaternion[..., :1] < 0, -quaternion, quaternion)


def multiply(
    first: Float[Tensor, "*batch 4"], second: Float[Tensor, "*batch 4"]
) -> Float[Tensor, "*batch 4"]:
    """Hamilton product; as rotations, `second` is applied first."""
    a, b = first, second
    w = a[..., 0] * b[..., 0] - (a[..., 1:] * b[..., 1:]).sum(-1)
    vector = (
        a[..., :1] * b[..., 1:]
        + b[..., :1] * a[..., 1:]
        + torch.linalg.cross(a[..., 1:], b[..., 1:], dim=-1)
    )
    return torch.cat([w[..., None], vector], dim=-1)
