"""Fixed random Fourier features of the noise level."""

import functools
import math
from importlib import resources

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

NOISE_CHANNELS = 256
_TABLE_FILE = "noise_embedding.npz"
"""Weights (normal) and phases (uniform): the draws that the published parameters expect."""


def noise_features(level: Float[Tensor, ""], sigma_data: float) -> Float[Tensor, " 256"]:
    """Encode a noise level in Å: cos(2 pi (w ln(level / sigma_data) / 4 + b)).

    Abramson et al. 2024, algorithm 22.
    """
    weight, bias = (torch.tensor(part, device=level.device) for part in _table())
    scaled = torch.log(level.float() / sigma_data) / 4
    return torch.cos(2 * math.pi * (weight * scaled + bias))


@functools.cache
def _table() -> tuple[np.ndarray, np.ndarray]:
    file = resources.files(__package__).joinpath(_TABLE_FILE)
    with file.open("rb") as stream, np.load(stream) as stored:
        return stored["weight"], stored["bias"]
