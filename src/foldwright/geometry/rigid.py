"""Rigid transforms with explicit rotation matrices."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from foldwright.geometry.vectors import without_autocast


@dataclass(frozen=True)
class Rigid:
    """Rotations and translations that map local to global coordinates.

    `rots` holds the local axes as columns and `trans` the origins, in Å. The matrices need not be
    proper: Frenet frames have determinant -1, and every operation here is written for any
    orthogonal matrix (Jumper et al. 2021, supplement 1.1, without its quaternions).
    """

    rots: Float[Tensor, "*batch 3 3"]
    trans: Float[Tensor, "*batch 3"]

    @classmethod
    def identity(
        cls,
        shape: tuple[int, ...],
        *,
        dtype: torch.dtype = torch.float32,
        device: torch.device | None = None,
    ) -> "Rigid":
        """Transforms of a given batch shape that leave every point where it is."""
        rots = torch.eye(3, dtype=dtype, device=device).expand(*shape, 3, 3).contiguous()
        return cls(rots, torch.zeros(*shape, 3, dtype=dtype, device=device))

    def compose(self, inner: "Rigid") -> "Rigid":
        """Return the transform that applies `inner` first, then this one."""
        trans = _rotate(self.rots, inner.trans) + self.trans
        with without_autocast(trans):
            return Rigid(self.rots @ inner.rots, trans)

    def invert(self) -> "Rigid":
        """Return the transform from global to local coordinates."""
        inverse = self.rots.transpose(-1, -2)
        return Rigid(inverse, -_rotate(inverse, self.trans))

    def apply(self, points: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3"]:
        """Map local points to global coordinates."""
        return _rotate(self.rots, points) + self.trans

    def apply_inverse(self, points: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3"]:
        """Map global points to local coordinates."""
        return _rotate(self.rots.transpose(-1, -2), points - self.trans)


def _rotate(
    rots: Float[Tensor, "*batch 3 3"], points: Float[Tensor, "*batch 3"]
) -> Float[Tensor, "*batch 3"]:
    # A sum of products keeps fp32 under autocast, where a matmul would be cast down.
    return (rots * points[..., None, :]).sum(-1)
