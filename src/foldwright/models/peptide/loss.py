"""Training loss: error of the clean estimate, and of the residues read from it."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from foldwright.models.peptide.config import PeptideLossConfig
from foldwright.models.peptide.inputs import Condition, PeptideBatch
from foldwright.models.peptide.model import PeptideModel


@dataclass(frozen=True, eq=False)
class NoisedPeptides:
    """Clean latents of a batch with the times and the noise drawn for it."""

    x0: Float[Tensor, "b n d"]
    noise: Float[Tensor, "b n d"]
    timestep: Int64[Tensor, " b"]
    signal: Float[Tensor, " b"]
    """Share of signal in the latents that the decoder learns from."""


@dataclass(frozen=True)
class PeptideLoss:
    """The scalar to minimise and its unweighted parts."""

    total: Float[Tensor, ""]
    parts: dict[str, Tensor]


def draw_peptide_noise(
    model: PeptideModel,
    batch: PeptideBatch,
    config: PeptideLossConfig,
    generator: torch.Generator,
) -> NoisedPeptides:
    """Encode a batch, and draw times and noise on the CPU; noise is zero on padding."""
    x0 = model.encode(batch.tokens, batch.mask)
    b = len(batch.tokens)
    timestep = torch.randint(model.process.num_timesteps, (b,), generator=generator)
    share = torch.rand(b, generator=generator)
    noise = torch.randn(x0.shape, generator=generator).to(x0.device) * batch.mask[..., None]
    signal = config.decoder_signal + (1.0 - config.decoder_signal) * share
    return NoisedPeptides(x0, noise, timestep.to(x0.device), signal.to(x0.device))


def peptide_loss(
    model: PeptideModel,
    batch: PeptideBatch,
    noised: NoisedPeptides,
    condition: Condition,
    config: PeptideLossConfig,
    *,
    self_condition: bool,
    residue_share: float = 1.0,
) -> PeptideLoss:
    """Noise the latents, denoise them, and measure estimate and residues.

    The error is the mean square over real residues and dimensions of the clean estimate; latents
    of an encoder that is trained are constants in it, since otherwise they would shrink to what is
    easy to predict. The decoder learns from the estimate and from clean latents with noise. With
    `self_condition` a first pass without gradient gives the estimate that the second one is told
    (Chen et al. 2022, "Analog bits", algorithm 1). `residue_share` of both weights of residues
    counts.
    """
    mask = batch.mask
    x = model.process.add_noise(noised.x0, noised.noise, noised.timestep)
    previous = None
    if self_condition:
        with torch.no_grad():
            previous = model.denoise(x, mask, noised.timestep, condition).x0
    x0 = model.denoise(x, mask, noised.timestep, condition, previous).x0
    blurred = noised.x0 + noised.noise * (1.0 / noised.signal - 1.0).sqrt()[:, None, None]
    parts = {
        "error": mean_square(x0, noised.x0.detach(), mask),
        "residue": residue_error(model.decode(x0, mask), batch.tokens, mask),
        "decoder": residue_error(model.decode(blurred, mask), batch.tokens, mask),
    }
    total = (
        parts["error"]
        + residue_share * config.residue_weight * parts["residue"]
        + residue_share * config.decoder_weight * parts["decoder"]
    )
    return PeptideLoss(total, parts)


def residue_share(config: PeptideLossConfig, epoch: int) -> float:
    """Share of the weights of residues that an epoch has; the first one is number 0."""
    return 1.0 if config.rise_epochs == 0 else min(1.0, epoch / config.rise_epochs)


def mean_square(
    found: Float[Tensor, "b n d"], wanted: Float[Tensor, "b n d"], mask: Bool[Tensor, "b n"]
) -> Float[Tensor, ""]:
    """Mean square error over real residues and dimensions; 0 where there are none."""
    error = (found - wanted).square().mean(-1)
    return (error * mask).sum() / mask.sum().clamp(min=1)


def residue_error(
    logits: Float[Tensor, "b n r"], tokens: Int64[Tensor, "b n"], mask: Bool[Tensor, "b n"]
) -> Float[Tensor, ""]:
    """Mean cross-entropy in nats over real residues; 0 where there are none."""
    error = torch.nn.functional.cross_entropy(
        logits.transpose(1, 2), tokens.where(mask, 0), reduction="none"
    )
    return (error * mask).sum() / mask.sum().clamp(min=1)
