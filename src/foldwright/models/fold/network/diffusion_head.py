"""The denoiser: noisy atom positions and the trunk's results into denoised positions."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from foldwright.models.fold.config import FoldConfig
from foldwright.models.fold.features import RELATIVE_CHANNELS, relative_encoding
from foldwright.models.fold.inputs import FoldInputs
from foldwright.models.fold.network.atom_encoder import AtomDecoder, AtomEncoder, TrunkToAtoms
from foldwright.models.fold.network.atom_transformer import AtomContext
from foldwright.models.fold.network.diffusion_transformer import DiffusionTransformer
from foldwright.models.fold.network.gated_transition import GatedTransition
from foldwright.models.fold.network.noise_embedding import NOISE_CHANNELS, noise_features
from foldwright.nn.linear import Linear

SIGMA_DATA = 16.0
_ROWS_PER_CHUNK = 64
_KEPT_LOGITS = 1 << 27
"""Token logits are kept between calls up to this number (half a gigabyte in single precision)."""


@dataclass(frozen=True)
class DiffusionConditioning:
    """Everything about an input that is the same at every noise level.

    `token_logits` is None where keeping them would need too much memory.
    """

    single: Float[Tensor, "n s"]
    pair: Float[Tensor, "n n p"]
    atoms: AtomContext
    encoder_logits: Float[Tensor, "b w h q k"]
    decoder_logits: Float[Tensor, "b w h q k"]
    token_logits: tuple[Float[Tensor, "blocks heads n n"], ...] | None


class DiffusionHead(nn.Module):
    """Preconditioned denoiser (Abramson et al. 2024, algorithms 20 and 21)."""

    def __init__(self, config: FoldConfig) -> None:
        super().__init__()
        sizes, atoms = config.diffusion, config.atoms
        self.pair_norm = nn.LayerNorm(config.pair_channels + RELATIVE_CHANNELS, bias=False)
        self.pair = Linear(
            config.pair_channels + RELATIVE_CHANNELS, sizes.pair_channels, bias=False
        )
        self.pair_transitions = nn.ModuleList(
            GatedTransition(sizes.pair_channels, 2) for _ in range(2)
        )
        single = config.single_channels + config.target_channels
        self.single_norm = nn.LayerNorm(single, bias=False)
        self.single = Linear(single, sizes.single_channels, bias=False)
        self.noise_norm = nn.LayerNorm(NOISE_CHANNELS, bias=False)
        self.noise = Linear(NOISE_CHANNELS, sizes.single_channels, bias=False)
        self.single_transitions = nn.ModuleList(
            GatedTransition(sizes.single_channels, 2) for _ in range(2)
        )
        blocks = {
            "num_heads": atoms.num_heads,
            "width": atoms.width,
            "num_blocks": atoms.num_diffusion_blocks,
        }
        widths = (atoms.channels, atoms.pair_channels)
        self.encoder = AtomEncoder(*widths, sizes.token_channels, **blocks)
        self.trunk_to_atoms = TrunkToAtoms(*widths, config.single_channels, sizes.pair_channels)
        self.token_norm = nn.LayerNorm(sizes.single_channels, bias=False)
        self.token = Linear(sizes.single_channels, sizes.token_channels, bias=False)
        self.transformer = DiffusionTransformer(
            sizes.token_channels,
            sizes.single_channels,
            sizes.pair_channels,
            num_heads=sizes.num_heads,
            num_super_blocks=sizes.num_super_blocks,
            super_block_size=sizes.super_block_size,
        )
        self.out_norm = nn.LayerNorm(sizes.token_channels, bias=False)
        self.decoder = AtomDecoder(*widths, sizes.token_channels, **blocks)

    def condition(
        self,
        inputs: FoldInputs,
        target: Float[Tensor, "n f"],
        pair: Float[Tensor, "n n z"],
        single: Float[Tensor, "n s"],
    ) -> DiffusionConditioning:
        """Compute what does not depend on positions or noise, once per input."""
        conditioned = self.pair_conditioning(inputs, pair)
        atoms = self.trunk_to_atoms(
            inputs.reference, inputs.layout, self.encoder.reference, single, conditioned
        )
        mask = inputs.tokens.mask
        count = self.transformer.logits_per_pair * len(mask) ** 2
        kept = tuple(self.transformer.logits(conditioned, mask)) if count <= _KEPT_LOGITS else None
        return DiffusionConditioning(
            single=self.single(self.single_norm(torch.cat([single, target], dim=-1))),
            pair=conditioned,
            atoms=atoms,
            encoder_logits=self.encoder.transformer.logits(atoms),
            decoder_logits=self.decoder.transformer.logits(atoms),
            token_logits=kept,
        )

    def pair_conditioning(
        self, inputs: FoldInputs, pair: Float[Tensor, "n n z"]
    ) -> Float[Tensor, "n n p"]:
        """Condition the pairs by the trunk and the relative positions, in chunks of rows."""
        n = len(pair)
        conditioned = pair.new_empty(n, n, self.pair.out_features)
        for start in range(0, n, _ROWS_PER_CHUNK):
            rows = slice(start, start + _ROWS_PER_CHUNK)
            relative = relative_encoding(inputs.tokens, rows, pair.dtype)
            part = self.pair(self.pair_norm(torch.cat([pair[rows], relative], dim=-1)))
            for transition in self.pair_transitions:
                part = part + transition(part)
            conditioned[rows] = part
        return conditioned

    def forward(
        self,
        inputs: FoldInputs,
        conditioning: DiffusionConditioning,
        noisy: Float[Tensor, "n 24 3"],
        level: Float[Tensor, ""],
    ) -> Float[Tensor, "n 24 3"]:
        """Denoise positions, Å, at noise level `level`, Å; empty slots are zero."""
        real = inputs.reference.real[..., None]
        variance = level.square() + SIGMA_DATA**2
        single = self._single_conditioning(conditioning, level)
        context = conditioning.atoms
        scaled = self.trunk_to_atoms.positions(noisy * real / variance.sqrt())
        x = context.layout.token_atoms_to_queries.take(scaled, dims=2)
        x = x * context.query_mask[..., None] + context.queries
        tokens, skip = self.encoder(x, context, conditioning.encoder_logits)
        tokens = tokens + self.token(self.token_norm(single))
        logits: Iterable[Tensor] | None = conditioning.token_logits
        if logits is None:
            logits = self.transformer.logits(conditioning.pair, inputs.tokens.mask)
        tokens = self.out_norm(self.transformer(tokens, single, logits))
        update = self.decoder(tokens, skip, context, conditioning.decoder_logits)
        denoised = SIGMA_DATA**2 / variance * noisy + SIGMA_DATA * level / variance.sqrt() * update
        masked: Tensor = denoised * real
        return masked

    def _single_conditioning(self, conditioning: DiffusionConditioning, level: Tensor) -> Tensor:
        features = noise_features(level, SIGMA_DATA).to(conditioning.single.dtype)
        single = conditioning.single + self.noise(self.noise_norm(features))
        for transition in self.single_transitions:
            single = single + transition(single)
        return single
