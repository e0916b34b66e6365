"""Residue frames from N, CA and C."""

import torch
from jaxtyping import Float
from torch import Tensor

from foldwright.geometry.rigid import Rigid
from foldwright.geometry.vectors import at_least_float32, cross, normalise, normalise_across


def frames_from_backbone(
    n: Float[Tensor, "*batch 3"],
    ca: Float[Tensor, "*batch 3"],
    c: Float[Tensor, "*batch 3"],
) -> Rigid:
    """Build right-handed residue frames from N, CA and C by Gram-Schmidt.

    The origin is CA, the first axis points to C, and N lies in the plane of the first
    two axes on the positive side of the second. Collinear or coinciding atoms give an
    arbitrary but orthonormal frame with finite gradients. Jumper et al. 2021,
    supplement, algorithm 21.
    """
    n, ca, c = at_least_float32(n, ca, c)
    first = normalise(c - ca)
    second = normalise_across(n - ca, first)
    return Rigid(torch.stack([first, second, cross(first, second)], dim=-1), ca)
