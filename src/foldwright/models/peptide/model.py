"""Encoder, denoiser, decoder and noise process: what is trained, sampled and saved."""

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from foldwright.diffusion.process import GaussianProcess, Prediction
from foldwright.diffusion.schedule import build_schedule
from foldwright.models.peptide.config import EncoderConfig, PeptideConfig
from foldwright.models.peptide.decoder import PeptideDecoder
from foldwright.models.peptide.denoiser import PeptideDenoiser
from foldwright.models.peptide.encoder import BundledEncoder, SequenceEncoder
from foldwright.models.peptide.esm2 import Esm2Encoder
from foldwright.models.peptide.inputs import Condition
from foldwright.models.peptide.seen_peptides import SeenPeptides

_STATISTICS_MOMENTUM = 0.01
"""Share of a batch in the running statistics of latents whose encoder is trained."""


class PeptideModel(nn.Module):
    """Peptides as latents, and back.

    Latents are normalised per dimension with statistics that are stored with the weights. Where
    the encoder is trained (`encoder.adaptation`), they follow it batch by batch in training mode.

    Attributes:
        labels: activities that a peptide can be asked for, in the order of `Condition.labels`.
        length_counts: training peptides by length; a row per label (those with 1), the last all.
        seen: what the weights remember of the training peptides; None where they do not.
    """

    length_counts: Int64[Tensor, "rows lengths"]
    latent_mean: Float[Tensor, " d"]
    latent_std: Float[Tensor, " d"]

    def __init__(
        self, config: PeptideConfig, labels: tuple[str, ...], encoder: SequenceEncoder | None = None
    ) -> None:
        """Build a model; `encoder` is one that exists already, else `config` says which."""
        super().__init__()
        self.config = config
        self.labels = labels
        self.seen: SeenPeptides | None = None
        self.process = GaussianProcess(
            build_schedule(config.diffusion.schedule, config.diffusion.num_steps)
        )
        self.encoder = build_encoder(config) if encoder is None else encoder
        # With lora the encoder itself says what of it is trained.
        if isinstance(self.encoder, nn.Module) and config.encoder.adaptation != "lora":
            self.encoder.requires_grad_(self.encoder_is_trained)
        width = self.encoder.latent_dim
        self.denoiser = PeptideDenoiser(
            config.denoiser,
            latent_dim=width,
            num_labels=len(labels),
            max_length=config.max_length,
            num_timesteps=config.diffusion.num_steps,
            self_conditioning=config.diffusion.self_conditioning,
        )
        self.decoder = PeptideDecoder(config.decoder, width)
        self.register_buffer("latent_mean", torch.zeros(width))
        self.register_buffer("latent_std", torch.ones(width))
        counts = torch.zeros(len(labels) + 1, config.max_length + 1, dtype=torch.int64)
        self.register_buffer("length_counts", counts)

    @property
    def max_length(self) -> int:
        """Longest peptide, in residues."""
        return self.config.max_length

    @property
    def latent_dim(self) -> int:
        """Channels of the latents."""
        return self.encoder.latent_dim

    @property
    def encoder_is_trained(self) -> bool:
        """Whether diffusion training moves the encoder."""
        return self.config.encoder.adaptation != "frozen"

    def encode(
        self, tokens: Int64[Tensor, "b n"], mask: Bool[Tensor, "b n"]
    ) -> Float[Tensor, "b n d"]:
        """Return normalised latents, zero on padding; tokens are 0 to 19 on real residues."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.encoder_is_trained):
            latents = self.encoder(tokens, mask).float()
        if self.training and self.encoder_is_trained:
            self._follow_statistics(latents.detach(), mask)
        return (latents - self.latent_mean) / self.latent_std * mask[..., None]

    def denoise(
        self,
        x: Float[Tensor, "b n d"],
        mask: Bool[Tensor, "b n"],
        timestep: Int64[Tensor, " b"],
        condition: Condition,
        previous_x0: Float[Tensor, "b n d"] | None = None,
    ) -> Prediction:
        """Estimate clean latents and noise; both are zero on padding where `x` is.

        `previous_x0` is an earlier clean estimate; networks without self-conditioning refuse one.
        """
        output = self.denoiser(x, mask, timestep, condition, previous_x0).float()
        return self.process.prediction(self.config.diffusion.prediction, x, output, timestep)

    def decode(
        self, latents: Float[Tensor, "b n d"], mask: Bool[Tensor, "b n"]
    ) -> Float[Tensor, "b n r"]:
        """Return logits of the 20 residues, zero on padding."""
        out: Tensor = self.decoder(latents, mask).float()
        return out

    @torch.no_grad()
    def _follow_statistics(self, latents: Tensor, mask: Tensor) -> None:
        """Move mean and standard deviation towards those of a batch."""
        real = latents[mask]
        if len(real) < 2:
            return
        self.latent_mean.lerp_(real.mean(0), _STATISTICS_MOMENTUM)
        self.latent_std.lerp_(real.std(0).clamp(min=1e-6), _STATISTICS_MOMENTUM)


def build_encoder(config: PeptideConfig) -> SequenceEncoder:
    """Make the encoder that the settings name, with random weights or those of its checkpoint.

    Raises:
        InputError: an ESM-2 checkpoint is absent.
        FoldwrightError: the library that reads it is not installed.
    """
    encoder: EncoderConfig = config.encoder
    if encoder.kind == "bundled":
        return BundledEncoder(encoder, config.max_length)
    return Esm2Encoder(encoder)
