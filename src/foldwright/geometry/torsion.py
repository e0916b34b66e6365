"""Angles between atoms, and the atom that makes given angles."""

import torch
from jaxtyping import Float
from torch import Tensor

from foldwright.geometry.vectors import (
    at_least_float32,
    cross,
    dot,
    norm,
    normalise,
    normalise_across,
)


def bond_angle(
    a: Float[Tensor, "*#batch 3"],
    b: Float[Tensor, "*#batch 3"],
    c: Float[Tensor, "*#batch 3"],
) -> Float[Tensor, "*batch"]:
    """Angle a-b-c at b, in radians from 0 to pi.

    Written with atan2, so it is accurate near 0 and pi, where acos is not. Atoms on
    one line give gradient zero, coinciding atoms angle 0.
    """
    a, b, c = at_least_float32(a, b, c)
    first, second = a - b, c - b
    return torch.atan2(norm(cross(first, second)), dot(first, second))


def dihedral_angle(
    a: Float[Tensor, "*#batch 3"],
    b: Float[Tensor, "*#batch 3"],
    c: Float[Tensor, "*#batch 3"],
    d: Float[Tensor, "*#batch 3"],
) -> Float[Tensor, "*batch"]:
    """Dihedral a-b-c-d in radians from -pi to pi, positive for a right-handed turn (IUPAC).

    Where three successive atoms lie on one line the dihedral does not exist: the
    result is 0 there, with gradient zero.
    """
    a, b, c, d = at_least_float32(a, b, c, d)
    before, axis, after = b - a, c - b, d - c
    left, right = cross(before, axis), cross(axis, after)
    return torch.atan2(norm(axis) * dot(before, right), dot(left, right))


def place_atom(
    a: Float[Tensor, "*#batch 3"],
    b: Float[Tensor, "*#batch 3"],
    c: Float[Tensor, "*#batch 3"],
    *,
    length: float | Float[Tensor, "*#batch"],
    angle: float | Float[Tensor, "*#batch"],
    dihedral: float | Float[Tensor, "*#batch"],
) -> Float[Tensor, "*batch 3"]:
    """Place d so that |cd| is `length`, b-c-d is `angle` and a-b-c-d is `dihedral`.

    Å and radians. Where a, b and c lie on one line the dihedral has no origin and
    one is chosen. Parsons et al. 2005 (natural extension reference frame).
    """
    a, b, c = at_least_float32(a, b, c)
    bond, bend, turn = (
        torch.as_tensor(value).to(c)[..., None] for value in (length, angle, dihedral)
    )
    axis = normalise(c - b)
    toward = normalise_across(a - b, axis)
    normal = cross(toward, axis)
    outward = torch.cos(turn) * toward - torch.sin(turn) * normal
    return c + bond * (torch.sin(bend) * outward - torch.cos(bend) * axis)
