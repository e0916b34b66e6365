"""The decoder: which residue a latent stands for."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from foldwright.models.peptide.attention import PeptideBlock
from foldwright.models.peptide.config import DecoderConfig
from foldwright.nn.linear import Linear
from foldwright.sequence.residues import RESIDUES

_EXPANSION = 2


class PeptideDecoder(nn.Module):
    """Reads residues from normalised latents, each by itself or in view of the others."""

    def __init__(self, config: DecoderConfig, latent_dim: int) -> None:
        super().__init__()
        self.from_latents = Linear(latent_dim, config.channels, init="relu")
        self.blocks = nn.ModuleList(
            PeptideBlock(config.channels, num_heads=config.num_heads, expansion=_EXPANSION)
            for _ in range(config.num_layers)
        )
        self.to_residues = Linear(config.channels, len(RESIDUES))

    def forward(
        self, latents: Float[Tensor, "b n d"], mask: Bool[Tensor, "b n"]
    ) -> Float[Tensor, "b n r"]:
        """Return logits of the 20 residues, zero on padding."""
        s = torch.nn.functional.gelu(self.from_latents(latents))
        for block in self.blocks:
            s = block(s, mask)
        out: Tensor = self.to_residues(s)
        return out * mask[..., None]
