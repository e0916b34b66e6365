"""The denoiser: a transformer over noised latents, told time, labels, length and structure."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from foldwright.models.peptide.attention import (
    EndDistances,
    PeptideAttention,
    PeptideTransition,
    StructureAttention,
)
from foldwright.models.peptide.config import PeptideDenoiserConfig
from foldwright.models.peptide.features import NUM_FEATURES, StructureFeatures
from foldwright.models.peptide.inputs import SECONDARY_CODES, Condition
from foldwright.nn.embedding import sinusoidal_encoding
from foldwright.nn.linear import Linear

_TIME_CHANNELS = 128
_LABEL_STATES = 3
"""Unknown, not active, active."""


class PeptideDenoiser(nn.Module):
    """Transformer with adaptive layer norms (Peebles and Xie 2023, section 3.2, adaLN-Zero).

    Time, labels and length set shift, scale and gate of every block; structure features are
    attended to, and cost nothing where there are none.
    """

    def __init__(
        self,
        config: PeptideDenoiserConfig,
        *,
        latent_dim: int,
        num_labels: int,
        max_length: int,
        num_timesteps: int,
        self_conditioning: bool,
    ) -> None:
        super().__init__()
        channels = config.channels
        self.num_timesteps = num_timesteps
        self.self_conditioning = self_conditioning
        width = 2 * latent_dim if self_conditioning else latent_dim
        self.from_latents = Linear(width, channels)
        self.positions = EndDistances(max_length, channels)
        self.secondary = nn.Embedding(len(SECONDARY_CODES), channels)
        self.conditioning = _ConditionEmbedding(channels, num_labels, max_length)
        self.from_structure = Linear(NUM_FEATURES, channels) if config.cross_attention else None
        self.blocks = nn.ModuleList(DenoiserBlock(config) for _ in range(config.num_layers))
        self.norm = nn.LayerNorm(channels, elementwise_affine=False)
        self.modulation = Linear(channels, 2 * channels, init="final")
        self.to_latents = Linear(channels, latent_dim, init="final")
        nn.init.normal_(self.secondary.weight, std=0.02)

    def forward(
        self,
        x: Float[Tensor, "b n d"],
        mask: Bool[Tensor, "b n"],
        timestep: Int64[Tensor, " b"],
        condition: Condition,
        previous: Float[Tensor, "b n d"] | None = None,
    ) -> Float[Tensor, "b n d"]:
        """Return what the network predicts, zero on padding.

        `previous` is an earlier clean estimate; without one zeros take its place. A network
        without self-conditioning refuses one.
        """
        if self.self_conditioning:
            before = torch.zeros_like(x) if previous is None else previous
            x = torch.cat([x, before], dim=-1)
        elif previous is not None:
            raise ValueError("this network has no self-conditioning, but got an earlier estimate")
        time = sinusoidal_encoding(
            timestep, period=self.num_timesteps, channels=_TIME_CHANNELS, dtype=x.dtype
        )
        told = self.conditioning(time, condition, mask)
        places = self.positions(mask)
        s = self.from_latents(x) + places + self.secondary(condition.secondary)
        structure = self._structure_tokens(condition.structure, places)
        for block in self.blocks:
            s = block(s, mask, told, structure)
        shift, scale = self.modulation(told)[:, None].chunk(2, dim=-1)
        out: Tensor = self.to_latents(self.norm(s) * (1 + scale) + shift)
        return out * mask[..., None]

    def _structure_tokens(
        self, structure: StructureFeatures | None, places: Tensor
    ) -> "_StructureTokens | None":
        if structure is None:
            return None
        if self.from_structure is None:
            raise ValueError("this network has no cross-attention, but got structure features")
        rows = structure.mask.any(dim=1).nonzero()[:, 0]
        if len(rows) == 0:
            return None
        tokens = self.from_structure(structure.values[rows]) + places[rows]
        return _StructureTokens(rows, tokens, structure.mask[rows])


@dataclass(frozen=True, eq=False)
class _StructureTokens:
    """What is attended to: the rows of the batch that have a structure, and only those."""

    rows: Int64[Tensor, " k"]
    tokens: Float[Tensor, "k n c"]
    mask: Bool[Tensor, "k n"]


class DenoiserBlock(nn.Module):
    """Self-attention, attention to the structure, transition; the first and last are gated."""

    def __init__(self, config: PeptideDenoiserConfig) -> None:
        super().__init__()
        channels = config.channels
        self.modulation = Linear(channels, 6 * channels, init="final")
        self.attention_norm = nn.LayerNorm(channels, elementwise_affine=False)
        self.attention = PeptideAttention(channels, config.num_heads)
        self.structure_norm = nn.LayerNorm(channels) if config.cross_attention else None
        self.structure_attention = (
            StructureAttention(channels, config.num_heads) if config.cross_attention else None
        )
        self.transition_norm = nn.LayerNorm(channels, elementwise_affine=False)
        self.transition = PeptideTransition(channels, config.expansion)
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self,
        s: Float[Tensor, "b n c"],
        mask: Bool[Tensor, "b n"],
        told: Float[Tensor, "b c"],
        structure: _StructureTokens | None,
    ) -> Float[Tensor, "b n c"]:
        """Return the residues after the block."""
        shift_1, scale_1, gate_1, shift_2, scale_2, gate_2 = self.modulation(told)[:, None].chunk(
            6, dim=-1
        )
        inner = self.attention_norm(s) * (1 + scale_1) + shift_1
        s = s + gate_1 * self.dropout(self.attention(inner, mask))
        if structure is not None and self.structure_attention is not None:
            assert self.structure_norm is not None
            inner = self.structure_norm(s[structure.rows])
            update = self.structure_attention(inner, structure.tokens, structure.mask)
            s = s.index_add(0, structure.rows, update)
        inner = self.transition_norm(s) * (1 + scale_2) + shift_2
        out: Tensor = s + gate_2 * self.dropout(self.transition(inner))
        return out


class _ConditionEmbedding(nn.Module):
    """Time, labels and length as one vector; an unknown label has an embedding of its own."""

    def __init__(self, channels: int, num_labels: int, max_length: int) -> None:
        super().__init__()
        self.time_in = Linear(_TIME_CHANNELS, channels, init="relu")
        self.time_out = Linear(channels, channels)
        self.labels = nn.Embedding(max(num_labels, 1) * _LABEL_STATES, channels)
        self.length = nn.Embedding(max_length + 1, channels)
        for table in (self.labels, self.length):
            nn.init.normal_(table.weight, std=0.05)

    def forward(self, time: Tensor, condition: Condition, mask: Tensor) -> Tensor:
        labels = condition.labels.long()
        row = torch.arange(labels.shape[1], device=labels.device) * _LABEL_STATES
        told = self.time_out(torch.nn.functional.silu(self.time_in(time)))
        told = told + self.labels(row + labels + 1).sum(1) + self.length(mask.sum(1))
        return torch.nn.functional.silu(told)
