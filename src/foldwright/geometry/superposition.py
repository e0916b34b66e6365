"""Optimal superposition of matched points (Kabsch)."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from foldwright.geometry.vectors import at_least_float32, without_autocast
from foldwright.runtime.errors import InputError


@dataclass(frozen=True)
class Superposition:
    """The proper rotation and translation that carry the mobile points onto the target.

    `rmsd` is the (weighted) root mean square deviation left after it, in Å.
    """

    rotation: Float[Tensor, "*batch 3 3"]
    translation: Float[Tensor, "*batch 3"]
    rmsd: Float[Tensor, "*batch"]

    def apply(self, points: Float[Tensor, "*batch n 3"]) -> Float[Tensor, "*batch n 3"]:
        """Move points from the mobile frame into that of the target."""
        points, rotation, translation = at_least_float32(points, self.rotation, self.translation)
        with without_autocast(points):
            return points @ rotation.mT + translation[..., None, :]


def superpose(
    mobile: Float[Tensor, "*batch n 3"],
    target: Float[Tensor, "*batch n 3"],
    *,
    mask: Bool[Tensor, "*batch n"] | None = None,
    weights: Float[Tensor, "*batch n"] | None = None,
) -> Superposition:
    """Superpose matched points so that their weighted square distances are least.

    The rotation is proper (determinant +1), so mirror images do not superpose. Points
    where `mask` is False or the weight is 0 have no influence, even if they are not
    finite. Rotation and translation carry no gradient; the gradient of `rmsd` is exact
    all the same, for at the optimum it does not depend on them. Kabsch 1978, with the
    singular value decomposition of the covariance.

    Raises:
        InputError: an item of the batch has no point of positive weight.
    """
    mobile, target = at_least_float32(mobile, target)
    weight = _total_one(mobile, mask, weights)
    # Absent points may be NaN, and 0 * NaN is NaN.
    present = weight > 0
    mobile = mobile.masked_fill(~present, 0.0)
    target = target.masked_fill(~present, 0.0)
    mobile_centre = (weight * mobile).sum(dim=-2, keepdim=True)
    target_centre = (weight * target).sum(dim=-2, keepdim=True)
    mobile_centred, target_centred = mobile - mobile_centre, target - target_centre
    with without_autocast(mobile):
        rotation = _best_rotation((weight * target_centred).mT.detach() @ mobile_centred.detach())
        translation = target_centre.detach() - mobile_centre.detach() @ rotation.mT
        deviation = mobile_centred @ rotation.mT - target_centred
    square = (weight * deviation.square()).sum(dim=(-2, -1))
    zero = square == 0
    rmsd = torch.sqrt(square.masked_fill(zero, 1.0)).masked_fill(zero, 0.0)
    return Superposition(rotation, translation.squeeze(-2), rmsd)


def _best_rotation(covariance: Float[Tensor, "*batch 3 3"]) -> Float[Tensor, "*batch 3 3"]:
    """Proper rotation R that maximises trace(R^T C) for C = sum of target x mobile^T."""
    left, _, right = torch.linalg.svd(covariance)
    # Singular values come in falling order: a reflection is undone where it costs least.
    sign = torch.linalg.det(left @ right).sign()
    left = torch.cat([left[..., :2], left[..., 2:] * sign[..., None, None]], dim=-1)
    return left @ right


def _total_one(
    points: Float[Tensor, "*batch n 3"],
    mask: Bool[Tensor, "*batch n"] | None,
    weights: Float[Tensor, "*batch n"] | None,
) -> Float[Tensor, "*batch n 1"]:
    weight = torch.ones_like(points[..., 0]) if weights is None else weights.to(points.dtype)
    if mask is not None:
        weight = weight.masked_fill(~mask, 0.0)
    total = weight.sum(dim=-1, keepdim=True)
    if not bool((total > 0).all()):
        raise InputError(
            "superposition needs points: an item of the batch has no point of positive weight; "
            "check the mask."
        )
    return (weight / total)[..., None]
