"""Training loss: error of the prediction, and geometry of the clean estimate it implies."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from foldwright.models.backbone.config import LossConfig

_NORM_EPS = 1e-10
_LOCAL_SPAN = 4
_STEP = 3.8
_LDDT_RADIUS = 15.0
_LDDT_THRESHOLDS = (0.5, 1.0, 2.0, 4.0)


def prediction_error(
    predicted: Float[Tensor, "b n 3"],
    target: Float[Tensor, "b n 3"],
    mask: Bool[Tensor, "b n"],
    *,
    kind: str,
) -> Float[Tensor, ""]:
    """Mean error over all real residues of the batch.

    `distance` is Genie's mean Euclidean length, sqrt(1e-10 + |d|^2); `mse` the mean squared
    component, whose minimum is the posterior mean.
    """
    squared = (predicted - target).square().sum(-1)
    error = torch.sqrt(_NORM_EPS + squared) if kind == "distance" else squared / 3
    return (error * mask).sum() / mask.sum().clamp(min=1)


def local_geometry_error(
    x0: Float[Tensor, "b n 3"],
    target: Float[Tensor, "b n 3"],
    mask: Bool[Tensor, "b n"],
    weight: Float[Tensor, " b"],
) -> Float[Tensor, ""]:
    """Error of distances to the next four residues (Å) and of the handedness of four in a row.

    Handedness is the triple product of three consecutive steps over 3.8^3, which separates a
    right-handed helix from its mirror image where distances cannot. `weight` is per chain.
    """
    total = x0.new_zeros(())
    for span in range(1, _LOCAL_SPAN + 1):
        real = (mask[:, span:] & mask[:, :-span]) * weight[:, None]
        found, wanted = (_span_length(x, span) for x in (x0, target))
        total = total + ((found - wanted).abs() * real).sum() / real.sum().clamp(min=1)
    real = (mask[:, 3:] & mask[:, :-3]) * weight[:, None]
    turn = (_handedness(x0) - _handedness(target)).abs()
    return total + (turn * real).sum() / real.sum().clamp(min=1)


def smooth_lddt_error(
    x0: Float[Tensor, "b n 3"],
    target: Float[Tensor, "b n 3"],
    mask: Bool[Tensor, "b n"],
    weight: Float[Tensor, " b"],
) -> Float[Tensor, ""]:
    """One minus the smooth lDDT of C-alpha atoms (Abramson et al. 2024, algorithm 27)."""
    found, wanted = _distances(x0), _distances(target)
    apart = ~torch.eye(mask.shape[1], dtype=torch.bool, device=mask.device)
    near = (wanted < _LDDT_RADIUS) & apart & mask[:, :, None] & mask[:, None]
    error = (found - wanted).abs()
    kept = torch.stack([torch.sigmoid(cut - error) for cut in _LDDT_THRESHOLDS]).mean(0)
    score = (kept * near).sum((1, 2)) / near.sum((1, 2)).clamp(min=1)
    return ((1 - score) * weight).sum() / weight.sum().clamp(min=1)


def clean_estimate_weight(
    noise_level: Float[Tensor, " b"], config: LossConfig
) -> Float[Tensor, " b"]:
    """Weight of the clean-estimate terms per chain; half at `clean_estimate_noise` Å."""
    return 1 / (1 + (noise_level / config.clean_estimate_noise).square())


def _span_length(x: Tensor, span: int) -> Tensor:
    return torch.sqrt(_NORM_EPS + (x[:, span:] - x[:, :-span]).square().sum(-1))


def _handedness(x: Tensor) -> Tensor:
    step = (x[:, 1:] - x[:, :-1]) / _STEP
    area = torch.linalg.cross(step[:, :-2], step[:, 1:-1], dim=-1)
    return (area * step[:, 2:]).sum(-1)


def _distances(x: Tensor) -> Tensor:
    offset = x[:, :, None] - x[:, None]
    return torch.sqrt(_NORM_EPS + offset.square().sum(-1))
