"""A small network that tells which activities a peptide is likely to have."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, Int64
from pydantic import Field
from torch import Tensor, nn

from foldwright.runtime.config import Config
from foldwright.runtime.errors import InputError, Problem
from foldwright.runtime.weight_files import WeightCard, bundled_path, read_weights, write_weights
from foldwright.sequence.residues import RESIDUES, encode_sequence

HIDDEN_TOKEN = len(RESIDUES)
START_RESIDUE = "M"
BUNDLED_CLASSIFIER = "activity-classifier"
"""Name of the weights in the package."""

_KERNEL = 5
_AT_ONCE = 256
_LARGE = 1e9


class ClassifierConfig(Config):
    """Sizes of the network."""

    channels: int = Field(default=64, ge=4, description="channels per residue")
    num_layers: int = Field(default=3, ge=1, description="convolutions over five residues")
    num_queries: int = Field(default=4, ge=1, description="weighted means over the residues")
    hidden: int = Field(default=128, ge=4, description="channels of the last layer but one")
    dropout: float = Field(default=0.1, ge=0, lt=1, description="dropout after convolutions")
    last_dropout: float = Field(default=0.3, ge=0, lt=1, description="dropout before the answer")


class LabelQuality(Config):
    """What the classifier is worth for one label, on peptides unlike those it was trained on."""

    label: str = Field(description="activity")
    train_positives: int = Field(description="peptides with a 1 it was trained on")
    train_negatives: int = Field(description="peptides with a 0 it was trained on")
    threshold: float | None = Field(
        description="probability that 5 % of the validation peptides with a 0 exceed"
    )
    auc: float | None = Field(description="area under the ROC curve on the split test")
    recall: float | None = Field(description="share of the 1 of the split test over the threshold")
    false_positives: float | None = Field(
        description="share of the 0 of the split test over the threshold"
    )
    positives: int = Field(description="peptides with a 1 in the split test")
    negatives: int = Field(description="peptides with a 0 in the split test")


class ClassifierCard(WeightCard):
    """What stands in the JSON beside a weight file; its provenance holds no sequence."""

    format: str = Field(default="foldwright-activity-classifier", description="kind of weights")
    version: int = Field(default=1, description="version of this layout")
    network: ClassifierConfig = Field(description="sizes")
    quality: tuple[LabelQuality, ...] = Field(description="labels in order, and what is known")
    unlearned: dict[str, str] = Field(description="labels of the data left out, and why")


class ActivityClassifier(nn.Module):
    """Convolutions over the residues, three ways of pooling, and a layer for all labels at once.

    Attributes:
        labels: activities, in the order of the answers.
        quality: what is known about each answer; empty until it was measured.
        unlearned: labels of the training data that it has no answer for, with the reason.
    """

    def __init__(self, config: ClassifierConfig, labels: Sequence[str]) -> None:
        super().__init__()
        self.config, self.labels = config, tuple(labels)
        self.quality: tuple[LabelQuality, ...] = ()
        self.unlearned: Mapping[str, str] = {}
        channels = config.channels
        self.embedding = nn.Embedding(HIDDEN_TOKEN + 1, channels)
        self.convolutions = nn.ModuleList(
            nn.Conv1d(channels, channels, _KERNEL, padding=_KERNEL // 2)
            for _ in range(config.num_layers)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(channels) for _ in range(config.num_layers))
        self.last_norm = nn.LayerNorm(channels)
        self.queries = nn.Linear(channels, config.num_queries)
        self.dropout = nn.Dropout(config.dropout)
        # weighted means, mean, maximum, composition and length
        pooled = (config.num_queries + 2) * channels + len(RESIDUES) + 1
        self.head = nn.Sequential(
            nn.Linear(pooled, config.hidden),
            nn.GELU(),
            nn.Dropout(config.last_dropout),
            nn.Linear(config.hidden, len(self.labels)),
        )

    def forward(
        self, tokens: Int64[Tensor, "b n"], mask: Bool[Tensor, "b n"]
    ) -> Float[Tensor, "b l"]:
        """Return the logit of each label; padding has no influence, whatever its tokens are.

        Token 20 is a residue that is hidden. Every peptide has a residue.
        """
        real = mask[..., None].to(self.embedding.weight.dtype)
        tokens = tokens.masked_fill(~mask, HIDDEN_TOKEN)
        x = self.embedding(tokens) * real
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            update = convolution((norm(x) * real).transpose(1, 2)).transpose(1, 2)
            x = (x + self.dropout(nn.functional.gelu(update))) * real
        return self.head(self._pool(self.last_norm(x), tokens, mask))

    def _pool(
        self,
        x: Float[Tensor, "b n c"],
        tokens: Int64[Tensor, "b n"],
        mask: Bool[Tensor, "b n"],
    ) -> Float[Tensor, "b k"]:
        real = mask[..., None].to(x.dtype)
        length = real.sum(1)
        weights = self.queries(x).masked_fill(~mask[..., None], -_LARGE).softmax(1)
        means = torch.einsum("bnk,bnc->bkc", weights, x).flatten(1)
        greatest = x.masked_fill(~mask[..., None], -_LARGE).amax(1)
        kinds = nn.functional.one_hot(tokens, HIDDEN_TOKEN + 1)[..., :HIDDEN_TOKEN].to(x.dtype)
        composition = (kinds * real).sum(1) / length
        size = length.log() / 2 - 1.5  # about -0.7 to 0.5 for 5 to 50 residues
        return torch.cat([means, (x * real).sum(1) / length, greatest, composition, size], dim=1)

    @torch.inference_mode()
    def predict(self, sequences: Sequence[str]) -> dict[str, Float64[np.ndarray, " p"]]:
        """Return the probability of each label for each sequence.

        A leading M is dropped first, as it was in training: negatives of many collections are
        whole small proteins, and the M would give them away.

        Raises:
            InputError: a letter is none of the 20 residues.
        """
        encoded = [torch.from_numpy(encode_sequence(drop_start(one))) for one in sequences]
        answers = np.empty((len(encoded), len(self.labels)))
        order = sorted(range(len(encoded)), key=lambda item: len(encoded[item]))
        for start in range(0, len(order), _AT_ONCE):
            items = order[start : start + _AT_ONCE]
            tokens, mask = pad_tokens([encoded[item] for item in items])
            answers[items] = self(tokens, mask).double().sigmoid().numpy()
        return {label: answers[:, column] for column, label in enumerate(self.labels)}


def drop_start(sequence: str) -> str:
    """Take a leading M off, unless it is all there is."""
    return sequence[1:] if sequence.startswith(START_RESIDUE) and len(sequence) > 1 else sequence


def pad_tokens(
    tokens: Sequence[Int64[Tensor, " _"]],
) -> tuple[Int64[Tensor, "b n"], Bool[Tensor, "b n"]]:
    """Pad peptides to the longest one; returns tokens and mask."""
    lengths = torch.tensor([len(one) for one in tokens])
    padded = nn.utils.rnn.pad_sequence(list(tokens), batch_first=True, padding_value=HIDDEN_TOKEN)
    return padded, torch.arange(padded.shape[1]) < lengths[:, None]


def save_classifier(model: ActivityClassifier, path: Path, *, provenance: dict[str, Any]) -> None:
    """Write `path` (.safetensors) and its card (.json), each atomically, the card last."""
    card = ClassifierCard(
        network=model.config,
        quality=model.quality,
        unlearned=dict(model.unlearned),
        provenance=provenance,
    )
    write_weights(path, model.state_dict(), card)


def load_classifier(path: Path | str) -> ActivityClassifier:
    """Load a classifier in evaluation mode; the word `bundled` names the one in the package.

    Raises:
        InputError: the file is missing, damaged, of another kind or version, or not what its card
            says.
    """
    inside = bundled_path("foldwright.models.peptide", BUNDLED_CLASSIFIER)
    path = inside if str(path) == "bundled" else Path(path)
    card, state = read_weights(ClassifierCard, path)
    model = ActivityClassifier(card.network, [quality.label for quality in card.quality])
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        message = f"does not fit what its card describes: {error}"
        raise InputError(Problem(str(path), message)) from error
    model.quality, model.unlearned = card.quality, card.unlearned
    return model.eval()
