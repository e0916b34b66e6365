"""The whole network: its parts by name, wired by `models.fold.predict`."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from foldwright.models.fold.config import FoldConfig
from foldwright.models.fold.features import column_features
from foldwright.models.fold.inputs import FoldInputs
from foldwright.models.fold.network.atom_parts import atom_encoder
from foldwright.models.fold.network.confidence import ConfidenceHead
from foldwright.models.fold.network.diffusion_head import DiffusionHead
from foldwright.models.fold.network.distogram import DistogramHead
from foldwright.models.fold.network.trunk import Trunk


class FoldNetwork(nn.Module):
    """Input encoder, trunk, denoiser and heads (Abramson et al. 2024, algorithm 1)."""

    def __init__(self, config: FoldConfig) -> None:
        super().__init__()
        self.config = config
        self.input_encoder = atom_encoder(
            config, config.input_channels, num_blocks=config.atoms.num_input_blocks
        )
        self.trunk = Trunk(config)
        self.diffusion = DiffusionHead(config)
        self.confidence = ConfidenceHead(config)
        self.distogram = DistogramHead(config.pair_channels, bias=config.differences.distogram_bias)

    def target_features(self, inputs: FoldInputs) -> Float[Tensor, "n f"]:
        """Class, profile, deletions and own atoms of every token (algorithm 2)."""
        encoder = self.input_encoder
        context = encoder.context(inputs.reference, inputs.layout)
        tokens, _ = encoder(context.queries, context, encoder.transformer.prepare(context))
        return torch.cat([column_features(inputs.tokens, inputs.alignment), tokens], dim=-1)
