"""Distances between tokens as the trunk sees them."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from foldwright.nn.linear import Linear

NUM_BINS = 64


class DistogramHead(nn.Module):
    """Logits of 64 distance bins from 2.3 to 21.7 Å (Jumper et al. 2021, supplement 1.9.8)."""

    def __init__(self, pair_channels: int, *, bias: bool = False) -> None:
        super().__init__()
        self.half_logits = Linear(pair_channels, NUM_BINS, bias=bias, init="final")

    def forward(self, pair: Float[Tensor, "n n c"]) -> Float[Tensor, "n n 64"]:
        """Compute symmetric logits."""
        half = self.half_logits(pair)
        logits: Tensor = half + half.transpose(0, 1)
        return logits

    @staticmethod
    def edges() -> Float[Tensor, " 63"]:
        """Edges between the bins, Å."""
        return torch.linspace(2.3125, 21.6875, NUM_BINS - 1)


def contact_probabilities(
    logits: Float[Tensor, "n n 64"], pair_mask: Bool[Tensor, "n n"]
) -> Float[Tensor, "n n"]:
    """Probability of a distance up to 8 Å."""
    upper = torch.cat([DistogramHead.edges(), torch.tensor([22.0])]).to(logits.device)
    contact = torch.softmax(logits, dim=-1) @ (upper <= 8.001).to(logits.dtype)
    return contact * pair_mask
