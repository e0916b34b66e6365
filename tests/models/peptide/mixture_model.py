"""A peptide model whose denoiser is exact, so that what comes out of sampling is known."""

from typing import Any

import torch
from torch import Tensor

from foldwright.diffusion.process import Prediction, broadcast_to_sample
from foldwright.models.peptide.config import (
    DecoderConfig,
    EncoderConfig,
    LatentDiffusionConfig,
    PeptideConfig,
    PeptideDenoiserConfig,
)
from foldwright.models.peptide.inputs import Condition
from foldwright.models.peptide.model import PeptideModel
from foldwright.sequence.residues import RESIDUES

LABELS = ("antimicrobial", "antifungal", "hemolytic")
CHANNELS = 24


def tiny_config(num_steps: int = 50, **diffusion: Any) -> PeptideConfig:
    """Settings of the smallest network that has all parts."""
    return PeptideConfig(
        max_length=24,
        encoder=EncoderConfig(channels=CHANNELS, num_layers=1, num_heads=2),
        denoiser=PeptideDenoiserConfig(channels=24, num_layers=2, num_heads=2),
        decoder=DecoderConfig(channels=24, num_heads=2),
        diffusion=LatentDiffusionConfig(num_steps=num_steps, **diffusion),
    )


def random_model(num_steps: int = 50, **diffusion: Any) -> PeptideModel:
    """A real network with random weights in every layer, those that begin at zero too."""
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        model = PeptideModel(tiny_config(num_steps, **diffusion), LABELS)
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.ndim > 1 and not bool(parameter.any()):
                    parameter.normal_(std=0.3)
    _count_lengths(model)
    return model.eval()


class MixtureModel(PeptideModel):
    """Residues drawn one by one; the denoiser is the exact mean of the clean latents.

    Each residue has a latent of its own. Unconditioned residues are even, antimicrobial ones are K
    or L nine times out of ten, antifungal ones W, and asking for no hemolysis forbids W. Helix
    means A, coil means G.
    """

    def __init__(self, num_steps: int = 50) -> None:
        with torch.random.fork_rng([]):
            torch.manual_seed(5)
            super().__init__(tiny_config(num_steps), LABELS)
            table = torch.randn(len(RESIDUES), CHANNELS)
        self.register_buffer("table", table / table.norm(dim=-1, keepdim=True) * CHANNELS**0.5)
        self.calls: list[tuple[tuple[int, ...], bool]] = []
        self.broken_length = 0
        _count_lengths(self)

    def encode(self, tokens: Tensor, mask: Tensor) -> Tensor:
        latents = torch.nn.functional.embedding(tokens.clamp(max=19), self.table)
        return latents * mask[..., None]

    def decode(self, latents: Tensor, mask: Tensor) -> Tensor:
        return latents @ self.table.T

    def denoise(
        self,
        x: Tensor,
        mask: Tensor,
        timestep: Tensor,
        condition: Condition,
        previous_x0: Tensor | None = None,
    ) -> Prediction:
        self.calls.append((tuple(x.shape), previous_x0 is not None))
        alpha_bar = broadcast_to_sample(self.process.alpha_bar(timestep), x)
        closeness = -((x[..., None, :] - alpha_bar.sqrt()[..., None] * self.table) ** 2).sum(-1)
        belief = closeness / (2 * (1 - alpha_bar)) + self._log_frequencies(condition)
        x0 = torch.softmax(belief, -1) @ self.table
        if x.shape[1] == self.broken_length:
            x0 = x0 * torch.nan
        return Prediction(x0, self.process.epsilon_from_x0(x, x0, timestep))

    def _log_frequencies(self, condition: Condition) -> Tensor:
        weights = torch.ones(*condition.secondary.shape, len(RESIDUES))
        for label, letters, state in ((0, "KL", 1), (1, "W", 1)):
            asked = (condition.labels[:, label] == state)[:, None, None]
            favoured = torch.full((len(RESIDUES),), 0.1 / (20 - len(letters)))
            favoured[[RESIDUES.index(letter) for letter in letters]] = 0.9 / len(letters)
            weights = torch.where(asked, weights * favoured, weights)
        forbidden = torch.ones(len(RESIDUES))
        forbidden[RESIDUES.index("W")] = 1e-9
        safe = (condition.labels[:, 2] == 0)[:, None, None]
        weights = torch.where(safe, weights * forbidden, weights)
        for code, letter in ((1, "A"), (3, "G")):
            only = torch.full((len(RESIDUES),), 1e-9)
            only[RESIDUES.index(letter)] = 1.0
            there = (condition.secondary == code)[..., None]
            weights = torch.where(there, weights * only, weights)
        return weights.log()


def _count_lengths(model: PeptideModel) -> None:
    """Training lengths: 5 to 24 in all; antimicrobial 10 to 12, antifungal 12 alone."""
    counts = torch.zeros_like(model.length_counts)
    counts[-1, 5:25] = 10
    counts[0, 10:13] = torch.tensor([10, 20, 30])
    counts[1, 12] = 5
    model.length_counts.copy_(counts)
