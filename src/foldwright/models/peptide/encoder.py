"""From residues to latents: the interface, and our masked language model."""

from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from foldwright.models.peptide.attention import EndDistances, PeptideBlock
from foldwright.models.peptide.config import EncoderConfig
from foldwright.models.peptide.inputs import NUM_TOKENS
from foldwright.nn.linear import Linear
from foldwright.sequence.residues import RESIDUES


@runtime_checkable
class SequenceEncoder(Protocol):
    """What turns tokens into latents; a module with these is an encoder."""

    @property
    def latent_dim(self) -> int:
        """Channels of the latents."""
        ...

    def __call__(
        self, tokens: Int64[Tensor, "b n"], mask: Bool[Tensor, "b n"]
    ) -> Float[Tensor, "b n d"]:
        """Return latents as they come, not normalised; padding may hold anything finite."""
        ...

    def predict(
        self, tokens: Int64[Tensor, "b n"], mask: Bool[Tensor, "b n"]
    ) -> Float[Tensor, "b n r"]:
        """Return logits of the 20 residues at every position, as the language model sees them."""
        ...


class BundledEncoder(nn.Module):
    """A small transformer over residues, trained to restore hidden ones.

    Latents are what the last layer norm puts out, from which one linear map reads residues.
    """

    def __init__(self, config: EncoderConfig, max_length: int) -> None:
        super().__init__()
        channels = config.channels
        self.embedding = nn.Embedding(NUM_TOKENS, channels)
        nn.init.normal_(self.embedding.weight, std=0.5)
        self.positions = EndDistances(max_length, channels)
        self.blocks = nn.ModuleList(
            PeptideBlock(channels, num_heads=config.num_heads, expansion=config.expansion)
            for _ in range(config.num_layers)
        )
        self.norm = nn.LayerNorm(channels)
        self.to_residues = Linear(channels, len(RESIDUES))

    @property
    def latent_dim(self) -> int:
        """Channels of the latents."""
        return self.embedding.embedding_dim

    def forward(
        self, tokens: Int64[Tensor, "b n"], mask: Bool[Tensor, "b n"]
    ) -> Float[Tensor, "b n d"]:
        """Return latents, not normalised."""
        s = self.embedding(tokens) + self.positions(mask)
        for block in self.blocks:
            s = block(s, mask)
        out: Tensor = self.norm(s)
        return out

    def predict(
        self, tokens: Int64[Tensor, "b n"], mask: Bool[Tensor, "b n"]
    ) -> Float[Tensor, "b n r"]:
        """Return logits of the 20 residues at every position."""
        out: Tensor = self.to_residues(self(tokens, mask))
        return out


@torch.no_grad()
def latent_statistics(
    batches: list[tuple[Float[Tensor, "_ _ d"], Bool[Tensor, "_ _"]]],
) -> tuple[Float[Tensor, " d"], Float[Tensor, " d"]]:
    """Mean and standard deviation per dimension over all real residues, summed in float64."""
    width = batches[0][0].shape[-1]
    total, square, count = torch.zeros(width).double(), torch.zeros(width).double(), 0
    for latents, mask in batches:
        real = latents[mask].double().cpu()
        total += real.sum(0)
        square += real.square().sum(0)
        count += len(real)
    mean = total / count
    variance = (square / count - mean.square()).clamp(min=1e-12)
    return mean.float(), variance.sqrt().float()
