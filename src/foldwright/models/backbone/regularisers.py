"""Optional terms of the training loss that hold a network down on long chains.

Three watch the residual streams (`nn.hyper_connections.stream_terms`), four the prediction. They
are the regularisers of the long-sequence Genie, each where it says something: its penalty on maps
that are not doubly stochastic is zero here by construction, and smoothness is asked of the error,
not of predicted noise, which has no reason to be smooth.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from foldwright.models.backbone.config import RegulariserConfig
from foldwright.nn.hyper_connections import STREAM_TERMS

_NORM_EPS = 1e-8
_BASE_LENGTH = 128
_TOLERANCE = 0.2
_LEAST_TOLERANCE = 0.1
_LARGEST = 10.0


def stream_weights(config: RegulariserConfig) -> dict[str, float]:
    """Weights of the terms that need residual streams, by name."""
    weights = (
        config.residual_balance_weight,
        config.norm_preservation_weight,
        config.activation_weight,
    )
    return dict(zip(STREAM_TERMS, weights, strict=True))


def prediction_weights(config: RegulariserConfig) -> dict[str, float]:
    """Weights of the terms on the prediction, by name."""
    return {
        "norm_ratio": config.norm_ratio_weight,
        "magnitude": config.magnitude_weight,
        "error_smoothness": config.error_smoothness_weight,
        "energy": config.energy_weight,
    }


def stream_penalties(
    observed: Sequence[Float[Tensor, "b terms"]], config: RegulariserConfig
) -> dict[str, Float[Tensor, ""]]:
    """Means over layers and chains of the terms whose weight is not zero."""
    means = torch.stack(list(observed)).mean(dim=(0, 1))
    weights = stream_weights(config)
    return {name: means[place] for place, name in enumerate(STREAM_TERMS) if weights[name] > 0}


def prediction_penalties(
    found: Float[Tensor, "b n 3"],
    wanted: Float[Tensor, "b n 3"],
    mask: Bool[Tensor, "b n"],
    config: RegulariserConfig,
) -> dict[str, Float[Tensor, ""]]:
    """The terms on the prediction whose weight is not zero, in units of the process."""
    terms = {
        "norm_ratio": norm_ratio_error,
        "magnitude": magnitude_error,
        "error_smoothness": error_smoothness,
        "energy": energy_error,
    }
    weights = prediction_weights(config)
    return {name: term(found, wanted, mask) for name, term in terms.items() if weights[name] > 0}


def norm_ratio_error(
    found: Float[Tensor, "b n 3"], wanted: Float[Tensor, "b n 3"], mask: Bool[Tensor, "b n"]
) -> Float[Tensor, ""]:
    """Squared excess of |found| / |wanted| over a tolerance that shrinks with the chain.

    With f = sqrt(residues / 128) the tolerance is max(0.1, 0.2 / f) and the term counts f times.
    """
    factor = torch.sqrt(mask.sum(1, keepdim=True).clamp(min=1) / _BASE_LENGTH).to(found.dtype)
    ratio = _length(found) / _length(wanted).clamp(min=_NORM_EPS**0.5)
    tolerance = (_TOLERANCE / factor).clamp(min=_LEAST_TOLERANCE)
    beyond = torch.relu((ratio - 1).abs() - tolerance)
    return _mean(beyond.square() * factor, mask)


def magnitude_error(
    found: Float[Tensor, "b n 3"], wanted: Float[Tensor, "b n 3"], mask: Bool[Tensor, "b n"]
) -> Float[Tensor, ""]:
    """Squared length of the prediction beyond 10, or beyond that of the target if it is longer."""
    limit = _length(wanted).clamp(min=_LARGEST)
    return _mean(torch.relu(_length(found) - limit).square(), mask)


def error_smoothness(
    found: Float[Tensor, "b n 3"], wanted: Float[Tensor, "b n 3"], mask: Bool[Tensor, "b n"]
) -> Float[Tensor, ""]:
    """Mean squared difference of the errors of neighbouring residues."""
    error = found - wanted
    change = (error[:, 1:] - error[:, :-1]).square().sum(-1)
    return _mean(change, mask[:, 1:] & mask[:, :-1])


def energy_error(
    found: Float[Tensor, "b n 3"], wanted: Float[Tensor, "b n 3"], mask: Bool[Tensor, "b n"]
) -> Float[Tensor, ""]:
    """Squared difference from one of a chain's ratio of squared lengths, mean over chains."""
    real = mask[..., None]
    energies = [(x * real).flatten(1).square().sum(1) for x in (found, wanted)]
    some = energies[1] > 0
    ratio = energies[0] / energies[1].masked_fill(~some, 1.0)
    return _mean((ratio - 1).square(), some)


def _length(x: Tensor) -> Tensor:
    return torch.sqrt(x.square().sum(-1) + _NORM_EPS)


def _mean(values: Tensor, real: Tensor) -> Tensor:
    return (values * real).sum() / real.sum().clamp(min=1)
