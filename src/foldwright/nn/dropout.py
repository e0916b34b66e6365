"""Dropout whose mask is shared along one axis of the pair tensor."""

import torch
from jaxtyping import Float
from torch import Tensor, nn


class AxisDropout(nn.Module):
    """Dropout with one mask for all positions along `shared_dim` (Jumper et al. 2021, 1.11.6)."""

    def __init__(self, rate: float, *, shared_dim: int) -> None:
        super().__init__()
        self.rate = rate
        self.shared_dim = shared_dim

    def forward(self, z: Float[Tensor, "b n n c"]) -> Float[Tensor, "b n n c"]:
        """Drop and rescale while training; the identity otherwise."""
        keep = self.draw(z)
        return z if keep is None else z * keep

    def draw(self, z: Float[Tensor, "b n n c"]) -> Float[Tensor, "b #n #n c"] | None:
        """Draw what `z` is to be multiplied with; None where nothing is dropped."""
        if not self.training or self.rate == 0.0:
            return None
        shape = list(z.shape)
        shape[self.shared_dim] = 1
        keep = torch.full(shape, 1.0 - self.rate, dtype=z.dtype, device=z.device)
        return torch.bernoulli(keep) / (1.0 - self.rate)
