"""The task of the encoder: to restore residues that were hidden."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int64
from pydantic import Field
from torch import Tensor, nn

from foldwright.data.peptide_store import PeptideStore
from foldwright.models.peptide.batches import PeptideBatchConfig, PeptideSource, store_checksums
from foldwright.models.peptide.config import EncoderConfig
from foldwright.models.peptide.encoder import BundledEncoder
from foldwright.models.peptide.inputs import MASK_TOKEN, PeptideBatch
from foldwright.runtime.config import Config
from foldwright.sequence.residues import RESIDUES

_SHOWN_AS_MASK, _SHOWN_AS_OTHER = 0.8, 0.1


class MaskingConfig(Config):
    """How residues are hidden."""

    least: float = Field(default=0.1, gt=0, le=1, description="smallest share of residues hidden")
    most: float = Field(
        default=0.5, gt=0, le=1, description="largest share; drawn evenly for each peptide"
    )


@dataclass(frozen=True)
class MaskedLanguageLoss:
    """Mean cross-entropy of hidden residues in nats, and the share that was restored."""

    total: Float[Tensor, ""]
    parts: dict[str, Tensor]


class MaskedLanguageTask:
    """An encoder, its batches and its loss, for the training loop.

    Every peptide of the split is in every epoch. Of the residues chosen, 80 % are shown as the
    mask, 10 % as another residue and 10 % as they are (Devlin et al. 2019, section 3.1), so that
    latents of residues that are shown say which they are.
    """

    fixed_shapes = False

    def __init__(
        self,
        encoder: BundledEncoder,
        config: EncoderConfig,
        store: PeptideStore,
        batches: PeptideBatchConfig,
        masking: MaskingConfig,
        *,
        seed: int,
    ) -> None:
        self.module: nn.Module = encoder
        self._encoder, self._config, self._masking = encoder, config, masking
        self._batches, self._store = batches, store
        self.training_batches = PeptideSource(store, "train", batches, seed=seed)
        self._validation = PeptideSource(store, "val", batches, seed=seed)

    @property
    def settings(self) -> Mapping[str, Any]:
        """What decides the numbers."""
        return {
            "encoder": self._config.model_dump(mode="json"),
            "masking": self._masking.model_dump(mode="json"),
            "peptides": self._batches.model_dump(mode="json"),
            "store": store_checksums(self._store),
        }

    @property
    def num_peptides(self) -> dict[str, int]:
        """Peptides that are trained on in an epoch and validated on."""
        return {"train": len(self.training_batches), "val": len(self._validation)}

    def validation_batches(self) -> Sequence[PeptideBatch]:
        """Batches of the validation split."""
        return self._validation(0)

    def loss(self, batch: PeptideBatch, generator: torch.Generator) -> MaskedLanguageLoss:
        """Hide residues and measure how well they are restored."""
        shown, chosen = hide_residues(batch.tokens, batch.mask, self._masking, generator)
        logits = self._encoder.predict(shown, batch.mask)[chosen]
        wanted = batch.tokens[chosen]
        loss = nn.functional.cross_entropy(logits.float(), wanted)
        restored = (logits.argmax(-1) == wanted).float().mean()
        return MaskedLanguageLoss(loss, {"cross_entropy": loss, "restored": restored})

    def compile(self) -> None:
        """Compile the network, which is called with peptides of many lengths."""
        self.module.compile(dynamic=True)

    def batch_names(self, batch: PeptideBatch) -> Sequence[str]:
        """Names of the peptides."""
        return batch.names

    def batch_size(self, batch: PeptideBatch) -> int:
        """Number of peptides."""
        return len(batch.names)

    def loss_weight(self, batch: PeptideBatch) -> float:
        """Number of residues, over which the loss is nearly a mean."""
        return float(batch.mask.sum())

    def to(self, batch: PeptideBatch, device: torch.device) -> PeptideBatch:
        """Copy a batch to a device."""
        return batch.to(device)


def hide_residues(
    tokens: Int64[Tensor, "b n"],
    mask: Bool[Tensor, "b n"],
    config: MaskingConfig,
    generator: torch.Generator,
) -> tuple[Int64[Tensor, "b n"], Bool[Tensor, "b n"]]:
    """Choose real residues to restore, at least one of each peptide, and hide them.

    Draws on the CPU. Returns the tokens to show and which residues were chosen.
    """
    draw = torch.rand((2, *tokens.shape), generator=generator).to(tokens.device)
    share = torch.rand(len(tokens), 1, generator=generator).to(tokens.device)
    other = torch.randint(len(RESIDUES), tokens.shape, generator=generator).to(tokens.device)
    share = config.least + (config.most - config.least) * share
    lowest = draw[0].masked_fill(~mask, 2.0).min(dim=1, keepdim=True).values
    chosen = mask & ((draw[0] < share) | (draw[0] == lowest))
    as_mask = chosen & (draw[1] < _SHOWN_AS_MASK)
    as_other = chosen & (draw[1] >= _SHOWN_AS_MASK) & (draw[1] < _SHOWN_AS_MASK + _SHOWN_AS_OTHER)
    shown = torch.where(as_mask, MASK_TOKEN, torch.where(as_other, other, tokens))
    return shown, chosen
