"""Fixed encodings of positions, times and distances."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

# Exponentials that underflow cost fifteen times as much on a CPU; 2e-35 is as good as zero.
_LEAST_EXPONENT = -80.0


def sinusoidal_encoding(
    value: Int[Tensor, "*batch"],
    *,
    period: int,
    channels: int,
    dtype: torch.dtype = torch.float32,
) -> Float[Tensor, "*batch c"]:
    """Encode numbers by cosines (even channels) and sines (odd channels).

    Channel k, counted from 1, is cos(v pi / N^(2(k-1)/D)) or sin(v pi / N^(2k/D)) with N = `period`
    and D = `channels`: the encoding of Genie (Lin & AlQuraishi 2023), in which N is a length or a
    number of diffusion steps. Angles are computed in float64 and rounded once.
    """
    # MPS has no float64: the angles are computed on the CPU.
    device = torch.device("cpu") if value.device.type == "mps" else value.device
    channel = torch.arange(1, channels + 1, device=device, dtype=torch.float64)
    even = torch.arange(channels, device=device) % 2 == 0
    exponent = torch.where(even, 2 * (channel - 1), 2 * channel) / channels
    angle = (
        value[..., None].to(device).double()
        * math.pi
        / torch.pow(torch.as_tensor(period).double(), exponent)
    )
    return torch.where(even, torch.cos(angle), torch.sin(angle)).to(dtype).to(value.device)


def relative_position_one_hot(
    num_residues: int, clip: int, *, dtype: torch.dtype, device: torch.device
) -> Float[Tensor, "n n c"]:
    """One-hot of row index minus column index, clipped to [-clip, clip]: 2 clip + 1 bins."""
    position = torch.arange(num_residues, device=device)
    offset = (position[:, None] - position[None, :]).clamp(-clip, clip) + clip
    return torch.nn.functional.one_hot(offset, 2 * clip + 1).to(dtype)


def gaussian_basis(
    distance: Float[Tensor, "*batch"], *, maximum: float, count: int
) -> Float[Tensor, "*batch {count}"]:
    """Gaussians on a grid from 0 to `maximum` Å whose widths equal the grid's spacing."""
    spacing = maximum / (count - 1)
    centre = torch.arange(count, device=distance.device, dtype=distance.dtype) * spacing
    exponent = -0.5 * ((distance[..., None] - centre) / spacing).square()
    return torch.exp(exponent.clamp(min=_LEAST_EXPONENT))
