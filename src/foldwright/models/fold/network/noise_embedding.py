"""Fixed random Fourier features of the noise level."""

import functools
import math
from importlib import resources

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

NOISE_CHANNELS = 256
_TABLE_FILE = "noise_embedding.npz"
"""Weights (normal) and phases (uniform): the draws that the published parameters expect."""


class FixedNoiseFeatures(nn.Module):
    """Encoding of the noise level with the table that the first published parameters expect."""

    def forward(self, level: Float[Tensor, ""], sigma_data: float) -> Float[Tensor, " 256"]:
        """Encode a noise level in Å."""
        weight, bias = (torch.tensor(part, device=level.device) for part in _table())
        return noise_features(level, sigma_data, weight, bias)


class StoredNoiseFeatures(nn.Module):
    """The same with a table that comes with the parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(NOISE_CHANNELS))
        self.bias = nn.Parameter(torch.empty(NOISE_CHANNELS))
        nn.init.normal_(self.weight)
        nn.init.uniform_(self.bias)

    def forward(self, level: Float[Tensor, ""], sigma_data: float) -> Float[Tensor, " 256"]:
        """Encode a noise level in Å."""
        return noise_features(level, sigma_data, self.weight, self.bias)


def noise_features(
    level: Float[Tensor, ""],
    sigma_data: float,
    weight: Float[Tensor, " 256"],
    bias: Float[Tensor, " 256"],
) -> Float[Tensor, " 256"]:
    """Encode a noise level in Å: cos(2 pi (w ln(level / sigma_data) / 4 + b)).

    Abramson et al. 2024, algorithm 22.
    """
    scaled = torch.log(level.float() / sigma_data) / 4
    return torch.cos(2 * math.pi * (weight * scaled + bias))


@functools.cache
def _table() -> tuple[np.ndarray, np.ndarray]:
    file = resources.files(__package__).joinpath(_TABLE_FILE)
    with file.open("rb") as stream, np.load(stream) as stored:
        return stored["weight"], stored["bias"]
