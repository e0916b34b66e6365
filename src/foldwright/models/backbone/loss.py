"""Training loss: error of the prediction, and geometry of the clean estimate it implies."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from foldwright.diffusion.process import Prediction
from foldwright.geometry.scores import smooth_lddt
from foldwright.models.backbone.config import LossConfig
from foldwright.models.backbone.inputs import BackboneBatch, centre
from foldwright.models.backbone.model import BackboneModel
from foldwright.models.backbone.regularisers import (
    prediction_penalties,
    prediction_weights,
    stream_penalties,
    stream_weights,
)
from foldwright.runtime.errors import InputError

_NORM_EPS = 1e-10
_LOCAL_SPAN = 4
_STEP = 3.8


@dataclass(frozen=True)
class NoisedBatch:
    """A batch with the noise and times drawn for it, in units of the process."""

    x0: Float[Tensor, "b n 3"]
    noise: Float[Tensor, "b n 3"]
    timestep: Int64[Tensor, " b"]
    mask: Bool[Tensor, "b n"]


@dataclass(frozen=True)
class BackboneLoss:
    """The scalar to minimise and its unweighted parts."""

    total: Float[Tensor, ""]
    parts: dict[str, Tensor]


def draw_noise(
    model: BackboneModel, batch: BackboneBatch, generator: torch.Generator
) -> NoisedBatch:
    """Draw times and noise on the generator's device; noise has no mean over real residues."""
    b = batch.ca.shape[0]
    timestep = torch.randint(
        0, model.process.num_timesteps, (b,), generator=generator, device=generator.device
    ).to(batch.ca.device)
    noise = torch.randn(batch.ca.shape, generator=generator, device=generator.device)
    noise = noise.to(batch.ca.device, batch.ca.dtype) * batch.mask[..., None]
    if model.diffusion.compat is None:
        noise = centre(noise, batch.mask)
    return NoisedBatch(batch.ca / model.coordinate_scale, noise, timestep, batch.mask)


def diffusion_loss(
    model: BackboneModel, noised: NoisedBatch, config: LossConfig, *, self_condition: bool
) -> BackboneLoss:
    """Noise the batch, denoise it and measure the error.

    With `self_condition` a first pass without gradient gives the clean estimate that the second
    one is conditioned on (Chen et al. 2022, "Analog bits", algorithm 1).
    """
    x = model.process.add_noise(noised.x0, noised.noise, noised.timestep)
    previous = None
    if self_condition:
        with torch.no_grad():
            previous = model.denoise(x, noised.mask, noised.timestep).x0
    regularisers = config.regularisers
    watched = any(stream_weights(regularisers).values())
    observed: list[Tensor] | None = [] if watched else None
    prediction = model.denoise(x, noised.mask, noised.timestep, previous, observed)
    parts = _parts(model, noised, prediction, config)
    if observed is not None:
        parts |= stream_penalties(_some(observed), regularisers)
    weights = {
        "error": 1.0,
        "local": config.local_geometry_weight,
        "lddt": config.lddt_weight,
        **stream_weights(regularisers),
        **prediction_weights(regularisers),
    }
    total = torch.stack([weights[name] * value for name, value in parts.items()]).sum()
    return BackboneLoss(total, parts)


def _parts(
    model: BackboneModel, noised: NoisedBatch, prediction: Prediction, config: LossConfig
) -> dict[str, Tensor]:
    kind = model.diffusion.prediction
    found = model.process.target(kind, prediction.x0, prediction.epsilon, noised.timestep)
    wanted = model.process.target(kind, noised.x0, noised.noise, noised.timestep)
    parts = {"error": prediction_error(found, wanted, noised.mask, kind=config.kind)}
    parts |= prediction_penalties(found, wanted, noised.mask, config.regularisers)
    if config.local_geometry_weight == 0 and config.lddt_weight == 0:
        return parts
    scale = model.coordinate_scale
    x0, target = prediction.x0 * scale, noised.x0 * scale
    noise_level = scale * model.process.snr(noised.timestep).rsqrt().to(x0.dtype)
    weight = clean_estimate_weight(noise_level, config)
    if config.local_geometry_weight > 0:
        parts["local"] = local_geometry_error(x0, target, noised.mask, weight)
    if config.lddt_weight > 0:
        parts["lddt"] = smooth_lddt_error(x0, target, noised.mask, weight)
    return parts


def _some(observed: list[Tensor]) -> list[Tensor]:
    if not observed:
        raise InputError(
            "residual_balance_weight, norm_preservation_weight and activation_weight watch "
            "residual streams, of which this network has one; set genie.residual_streams to 2 or "
            "more, or these weights to 0"
        )
    return observed


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
    """One minus the smooth lDDT of C-alpha atoms (Abramson et al. 2024, algorithm 27).

    The mean over chains by weight; a chain without a pair inside the radius is left out.
    """
    score = smooth_lddt(x0, target, mask=mask)
    scored = ~score.isnan()
    weight = weight * scored
    return ((1 - score.masked_fill(~scored, 1.0)) * weight).sum() / weight.sum().clamp(min=1)


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
