"""The denoiser: noisy atom positions and the trunk's results into denoised positions."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from foldwright.models.fold.config import FoldConfig
from foldwright.models.fold.features import RELATIVE_CHANNELS, relative_encoding
from foldwright.models.fold.inputs import FoldInputs
from foldwright.models.fold.network.atom_encoder import TrunkToAtoms
from foldwright.models.fold.network.atom_parts import atom_decoder, atom_encoder
from foldwright.models.fold.network.atom_transformer import AtomContext, PreparedBlock
from foldwright.models.fold.network.diffusion_transformer import DiffusionTransformer
from foldwright.models.fold.network.gated_transition import GatedTransition
from foldwright.models.fold.network.noise_embedding import (
    NOISE_CHANNELS,
    FixedNoiseFeatures,
    StoredNoiseFeatures,
)
from foldwright.models.fold.network.workspace import Workspace, row_blocks
from foldwright.nn.linear import Linear

SIGMA_DATA = 16.0


@dataclass(frozen=True)
class DiffusionConditioning:
    """Everything about an input that is the same at every noise level.

    Token logits are kept, or else the pair conditioning that they are computed from in each call.
    """

    single: Float[Tensor, "n s"]
    atoms: AtomContext
    encoder: tuple[PreparedBlock, ...]
    decoder: tuple[PreparedBlock, ...]
    token_logits: tuple[Float[Tensor, "blocks heads n n"], ...] | None
    pair: Float[Tensor, "n n p"] | None


class DiffusionHead(nn.Module):
    """Preconditioned denoiser (Abramson et al. 2024, algorithms 20 and 21)."""

    def __init__(self, config: FoldConfig) -> None:
        super().__init__()
        sizes, atoms = config.diffusion, config.atoms
        width = config.pair_channels
        projected = config.differences.projects_relative
        self.relative = Linear(RELATIVE_CHANNELS, width, bias=False) if projected else nn.Identity()
        both = width + (width if projected else RELATIVE_CHANNELS)
        self.pair_norm = nn.LayerNorm(both, bias=False)
        self.pair = Linear(both, sizes.pair_channels, bias=False)
        self.pair_transitions = nn.ModuleList(
            GatedTransition(sizes.pair_channels, 2) for _ in range(2)
        )
        single = config.single_channels + config.target_channels
        self.single_norm = nn.LayerNorm(single, bias=False)
        self.single = Linear(single, sizes.single_channels, bias=False)
        stored = config.differences.stored_noise_table
        self.noise_features = StoredNoiseFeatures() if stored else FixedNoiseFeatures()
        self.noise_norm = nn.LayerNorm(NOISE_CHANNELS, bias=False)
        self.noise = Linear(NOISE_CHANNELS, sizes.single_channels, bias=False)
        self.single_transitions = nn.ModuleList(
            GatedTransition(sizes.single_channels, 2) for _ in range(2)
        )
        num_blocks = atoms.num_diffusion_blocks
        self.encoder = atom_encoder(config, sizes.token_channels, num_blocks=num_blocks)
        self.trunk_to_atoms = TrunkToAtoms(
            atoms.channels, atoms.pair_channels, config.single_channels, sizes.pair_channels
        )
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
        self.decoder = atom_decoder(config, sizes.token_channels, num_blocks=num_blocks)

    def condition(
        self,
        inputs: FoldInputs,
        target: Float[Tensor, "n f"],
        pair: Float[Tensor, "n n z"],
        single: Float[Tensor, "n s"],
        work: Workspace,
        *,
        keep_logits: bool,
    ) -> DiffusionConditioning:
        """Compute what does not depend on positions or noise, once per input."""
        conditioned = self.pair_conditioning(inputs, pair, work)
        atoms = self.trunk_to_atoms(
            inputs.reference, inputs.layout, self.encoder.reference, single, conditioned
        )
        kept = None
        if keep_logits:
            groups = self.transformer.logits(conditioned, inputs.tokens.mask, work)
            kept = tuple(group.clone() for group in groups)
        return DiffusionConditioning(
            single=self.single(self.single_norm(torch.cat([single, target], dim=-1))),
            atoms=atoms,
            encoder=self.encoder.transformer.prepare(atoms),
            decoder=self.decoder.transformer.prepare(atoms),
            token_logits=kept,
            pair=None if keep_logits else conditioned,
        )

    def pair_conditioning(
        self, inputs: FoldInputs, pair: Float[Tensor, "n n z"], work: Workspace
    ) -> Float[Tensor, "n n p"]:
        """Condition the pairs by the trunk and the relative positions, some rows at a time."""
        n = len(pair)
        conditioned = pair.new_empty(n, n, self.pair.out_features)
        for rows in row_blocks(pair):
            relative = self.relative(relative_encoding(inputs.tokens, rows, pair.dtype))
            part = self.pair(self.pair_norm(torch.cat([pair[rows], relative], dim=-1)))
            for transition in self.pair_transitions:
                assert isinstance(transition, GatedTransition)
                transition.add_to(part, part, work)
            conditioned[rows] = part
        return conditioned

    def forward(
        self,
        inputs: FoldInputs,
        conditioning: DiffusionConditioning,
        noisy: Float[Tensor, "samples n 24 3"],
        level: Float[Tensor, ""],
        work: Workspace,
    ) -> Float[Tensor, "samples n 24 3"]:
        """Denoise positions, Å, of samples at noise level `level`, Å; empty slots are zero.

        Each sample has the same bits whatever the others are.
        """
        real = inputs.reference.real[..., None]
        variance = level.square() + SIGMA_DATA**2
        single = self._single_conditioning(conditioning, level, work)
        encoded = [self._encode(conditioning, one * real / variance.sqrt()) for one in noisy]
        tokens = torch.stack([part for part, _ in encoded])
        tokens += self.token(self.token_norm(single))
        logits: Iterable[Tensor] | None = conditioning.token_logits
        if logits is None:
            assert conditioning.pair is not None
            logits = self.transformer.logits(conditioning.pair, inputs.tokens.mask, work)
        tokens = self.out_norm(self.transformer(tokens, single, logits))
        update = torch.stack(
            [
                self.decoder(one, skip, conditioning.atoms, conditioning.decoder)
                for one, (_, skip) in zip(tokens, encoded, strict=True)
            ]
        )
        denoised = SIGMA_DATA**2 / variance * noisy + SIGMA_DATA * level / variance.sqrt() * update
        masked: Tensor = denoised * real
        return masked

    def _encode(self, conditioning: DiffusionConditioning, scaled: Tensor) -> tuple[Tensor, Tensor]:
        """Token vectors and atoms of one sample."""
        context = conditioning.atoms
        moved = self.trunk_to_atoms.positions(scaled)
        x = context.layout.token_atoms_to_queries.take(moved, dims=2)
        x = x * context.query_mask[..., None] + context.queries
        found: tuple[Tensor, Tensor] = self.encoder(x, context, conditioning.encoder)
        return found

    def _single_conditioning(
        self, conditioning: DiffusionConditioning, level: Tensor, work: Workspace
    ) -> Tensor:
        features = self.noise_features(level, SIGMA_DATA).to(conditioning.single.dtype)
        single = conditioning.single + self.noise(self.noise_norm(features))
        for transition in self.single_transitions:
            assert isinstance(transition, GatedTransition)
            transition.add_to(single, single, work)
        return single
