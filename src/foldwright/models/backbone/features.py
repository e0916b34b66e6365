"""From noised coordinates and time to the single and pair representations."""

from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from foldwright.geometry.rigid import Rigid
from foldwright.geometry.vectors import without_autocast
from foldwright.nn.embedding import (
    gaussian_basis,
    relative_position_one_hot,
    sinusoidal_encoding,
)
from foldwright.nn.linear import Linear

_DISTANCE_EPS = 1e-10
_BASIS_MAXIMUM = 30.0
BASIS_COUNT = 24
"""Channels of the distance basis."""


class SingleFeatureNet(nn.Module):
    """Position and time encodings, projected (Lin & AlQuraishi 2023, section 3.2)."""

    def __init__(self, c_s: int, *, c_position: int, c_timestep: int, num_timesteps: int) -> None:
        super().__init__()
        self.c_position = c_position
        self.c_timestep = c_timestep
        self.num_timesteps = num_timesteps
        self.linear = Linear(c_position + c_timestep, c_s)

    def forward(
        self, timestep: Int[Tensor, " b"], mask: Bool[Tensor, "b n"], *, position_period: int
    ) -> Float[Tensor, "b n c_s"]:
        """Encode residues; `position_period` is N of the position encoding."""
        dtype = self.linear.weight.dtype
        index = torch.arange(mask.shape[1], device=mask.device)
        position = sinusoidal_encoding(
            index, period=position_period, channels=self.c_position, dtype=dtype
        )
        time = sinusoidal_encoding(
            timestep, period=self.num_timesteps, channels=self.c_timestep, dtype=dtype
        )
        b, n = mask.shape
        parts = [position.expand(b, n, -1), time[:, None].expand(b, n, -1)]
        out: Tensor = self.linear(torch.cat(parts, dim=-1) * mask[..., None])
        return out


class PairFeatureNet(nn.Module):
    """Outer sum of single features, relative positions and a coordinate template.

    The `distance` template is Genie's: one channel, the C-alpha distance in Å. The `geometry`
    template adds a Gaussian basis of the distance, and the other residue's direction and frame
    seen from the residue's own frame. With self-conditioning, the distances of the previous
    clean estimate enter in the same basis.
    """

    def __init__(
        self,
        c_s: int,
        c_p: int,
        *,
        clip: int,
        template: Literal["distance", "geometry"],
        self_conditioning: bool,
    ) -> None:
        super().__init__()
        self.clip = clip
        self.template = template
        self.linear_s_p_i = Linear(c_s, c_p)
        self.linear_s_p_j = Linear(c_s, c_p)
        self.linear_relpos = Linear(2 * clip + 1, c_p)
        width = 1 if template == "distance" else BASIS_COUNT + 12
        self.linear_template = Linear(width, c_p)
        self.linear_self_condition = (
            Linear(BASIS_COUNT, c_p, bias=False) if self_conditioning else None
        )

    def forward(
        self,
        s: Float[Tensor, "b n c_s"],
        frames: Rigid,
        mask: Bool[Tensor, "b n"],
        previous: Float[Tensor, "b n 3"] | None = None,
    ) -> Float[Tensor, "b n n c_p"]:
        """Build the masked pair representation; `previous` is a clean estimate in Å."""
        z = self.linear_s_p_i(s)[:, :, None] + self.linear_s_p_j(s)[:, None]
        one_hot = relative_position_one_hot(
            mask.shape[1], self.clip, dtype=s.dtype, device=s.device
        )
        z = z + self.linear_relpos(one_hot)
        z = z + self.linear_template(self._template(frames))
        if previous is not None:
            if self.linear_self_condition is None:
                raise ValueError("this network was built without self_conditioning")
            basis = distance_basis(pair_distance(previous))
            z = z + self.linear_self_condition(basis)
        out: Tensor = z * (mask[:, :, None] & mask[:, None])[..., None]
        return out

    def _template(self, frames: Rigid) -> Tensor:
        distance = pair_distance(frames.trans)
        if self.template == "distance":
            return distance[..., None]
        # Row i sees residue j: coordinates and axes of j in the frame of i.
        inverse = frames.rots.transpose(-1, -2)[:, :, None]
        offset = frames.trans[:, None] - frames.trans[:, :, None]
        direction = (inverse * offset[..., None, :]).sum(-1) / (1.0 + distance[..., None])
        with without_autocast(offset):
            turn = (inverse @ frames.rots[:, None]).flatten(-2)
        return torch.cat([distance_basis(distance), direction, turn], dim=-1)


def pair_distance(ca: Float[Tensor, "b n 3"]) -> Float[Tensor, "b n n"]:
    """Distances in Å between all residues; the diagonal is 1e-5, so that gradients exist."""
    offset = ca[:, :, None] - ca[:, None]
    return torch.sqrt(_DISTANCE_EPS + offset.square().sum(-1))


def distance_basis(distance: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch c"]:
    """Gaussians of a distance in Å, up to 30 Å."""
    return gaussian_basis(distance, maximum=_BASIS_MAXIMUM, count=BASIS_COUNT)
