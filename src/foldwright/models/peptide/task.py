"""Training denoiser and decoder on the peptides of a store."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from foldwright.data.peptide_store import PeptideStore
from foldwright.models.peptide.batches import PeptideBatchConfig, PeptideSource, store_checksums
from foldwright.models.peptide.conditioning import ConditionDropper, ConditioningConfig
from foldwright.models.peptide.config import PeptideLossConfig
from foldwright.models.peptide.encoder import latent_statistics
from foldwright.models.peptide.inputs import PeptideBatch
from foldwright.models.peptide.loss import (
    PeptideLoss,
    draw_peptide_noise,
    peptide_loss,
    residue_share,
)
from foldwright.models.peptide.model import PeptideModel

_SELF_CONDITION_RATE = 0.5
_STATISTICS_BATCHES = 100


class PeptideTask:
    """The model, its batches and its loss, for the training loop.

    Args:
        model: what is trained; its encoder and statistics are set already.
        store: peptides with their splits; `train` is trained on, `val` validated on.
        peptides: which peptides, and how many at a time.
        conditioning: what the denoiser is told of them.
        loss: terms of the loss.
        seed: decides order and draws.
    """

    fixed_shapes = False

    def __init__(
        self,
        model: PeptideModel,
        store: PeptideStore,
        peptides: PeptideBatchConfig,
        conditioning: ConditioningConfig,
        loss: PeptideLossConfig,
        *,
        seed: int,
    ) -> None:
        self.module = model
        self._store, self._peptides, self._loss = store, peptides, loss
        self._conditioning = conditioning
        self._drop = ConditionDropper(conditioning, model.labels)
        self.training_batches = PeptideSource(store, "train", peptides, seed=seed)
        self._validation = PeptideSource(store, "val", peptides, seed=seed)

    @property
    def settings(self) -> Mapping[str, Any]:
        """What decides the numbers: model, loss, conditions, peptides, and the store's contents."""
        return {
            "model": self.module.config.model_dump(mode="json"),
            "loss": self._loss.model_dump(mode="json"),
            "conditioning": self._conditioning.model_dump(mode="json"),
            "peptides": self._peptides.model_dump(mode="json"),
            "store": store_checksums(self._store),
        }

    @property
    def num_peptides(self) -> dict[str, int]:
        """Peptides that are trained on in an epoch and validated on."""
        return {"train": len(self.training_batches), "val": len(self._validation)}

    def validation_batches(self) -> Sequence[PeptideBatch]:
        """Batches of the validation split, in the same proportions as an epoch."""
        return self._validation(0)

    def loss(self, batch: PeptideBatch, generator: torch.Generator) -> PeptideLoss:
        """Draw times, noise and what is told, and measure the estimate.

        In training the weights of residues are those of the epoch, in validation the last ones, so
        that all validations measure the same.
        """
        noised = draw_peptide_noise(self.module, batch, self._loss, generator)
        told = self._drop(batch.condition, generator)
        rate = _SELF_CONDITION_RATE if self.module.config.diffusion.self_conditioning else 0.0
        again = bool(torch.rand((), generator=generator) < rate)
        share = residue_share(self._loss, batch.epoch) if self.module.training else 1.0
        return peptide_loss(
            self.module,
            batch,
            noised,
            told,
            self._loss,
            self_condition=again,
            residue_share=share,
        )

    def compile(self) -> None:
        """Compile the denoiser, which is called with peptides of many lengths."""
        self.module.denoiser.compile(dynamic=True)

    def batch_names(self, batch: PeptideBatch) -> Sequence[str]:
        """Names of the peptides."""
        return batch.names

    def batch_size(self, batch: PeptideBatch) -> int:
        """Number of peptides."""
        return len(batch.names)

    def loss_weight(self, batch: PeptideBatch) -> float:
        """Number of residues, over which the loss is a mean."""
        return float(batch.mask.sum())

    def to(self, batch: PeptideBatch, device: torch.device) -> PeptideBatch:
        """Copy a batch to a device."""
        return batch.to(device)


def set_latent_statistics(model: PeptideModel, batches: Sequence[PeptideBatch]) -> None:
    """Store mean and deviation of the latents of batches, at most the first 100, in the model."""
    count = min(len(batches), _STATISTICS_BATCHES)
    with torch.no_grad():
        latents = [
            (model.encoder(batch.tokens, batch.mask), batch.mask)
            for batch in (batches[index] for index in range(count))
        ]
    mean, std = latent_statistics(latents)
    model.latent_mean.copy_(mean)
    model.latent_std.copy_(std)
