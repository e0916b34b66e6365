"""Training the activity classifier on a store of labelled peptides."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int, Int8, Int64
from pydantic import Field
from torch import Tensor, nn

from foldwright.data.batching import LengthBucketSampler
from foldwright.data.peptide_store import PeptideStore
from foldwright.models.peptide.batches import store_checksums
from foldwright.models.peptide.classifier import (
    HIDDEN_TOKEN,
    ActivityClassifier,
    drop_start,
    pad_tokens,
)
from foldwright.runtime.config import Config
from foldwright.runtime.errors import InputError, Problem
from foldwright.runtime.seeds import derive_seed
from foldwright.sequence.residues import encode_sequence


class ClassifierDataConfig(Config):
    """Which peptides and labels are learned from, and how much each counts."""

    least_examples: int = Field(
        default=20, ge=1, description="ones and zeros that a label needs to be learned"
    )
    largest_label_weight: float = Field(
        default=6.0, ge=1, description="limit of the weight that rare labels get"
    )
    hidden_share: float = Field(
        default=0.05, ge=0, lt=1, description="residues hidden at random while training"
    )
    max_batch: int = Field(default=256, ge=1, description="most peptides in a batch")
    max_tokens: int = Field(
        default=6000, ge=1, description="most residues in a batch, padding included"
    )
    bucket_edges: tuple[int, ...] = Field(
        default=tuple(range(6, 51, 3)), description="longest peptides of the buckets"
    )


@dataclass(frozen=True, eq=False)
class ActivityBatch:
    """Peptides without their leading M; labels are 1, 0 and -1 where nothing is known."""

    tokens: Int64[Tensor, "b n"]
    mask: Bool[Tensor, "b n"]
    labels: Int8[Tensor, "b l"]
    weights: Float32[Tensor, " b"]
    names: tuple[str, ...]


@dataclass(frozen=True)
class ActivityLoss:
    """Mean binary cross-entropy over what is known, with weights."""

    total: Float[Tensor, ""]
    parts: dict[str, Tensor]


def learnable_labels(
    store: PeptideStore, config: ClassifierDataConfig
) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return the labels with enough ones and zeros in the split train, and why others lack.

    Raises:
        InputError: no label has enough.
    """
    labels = store.labels[store.split("train")]
    kept: list[str] = []
    missing: dict[str, str] = {}
    for name, column in zip(store.label_names, labels.T, strict=True):
        ones, zeros = int((column == 1).sum()), int((column == 0).sum())
        if min(ones, zeros) >= config.least_examples:
            kept.append(name)
        else:
            missing[name] = f"{ones} peptides with a 1 and {zeros} with a 0 to learn from"
    if not kept:
        message = f"has no label with {config.least_examples} ones and zeros in the split train"
        raise InputError(Problem(str(store.path), message))
    return tuple(kept), missing


class ActivitySource:
    """The labelled peptides of a split; called with an epoch it gives its batches.

    Worker processes get this object: it holds the peptides, not the model.
    """

    def __init__(
        self,
        store: PeptideStore,
        split: str,
        labels: Sequence[str],
        config: ClassifierDataConfig,
        *,
        seed: int,
    ) -> None:
        columns = [store.label_names.index(name) for name in labels]
        members = store.split(split)
        known = np.array(store.labels[members])[:, columns]
        sequences = [drop_start(store.sequence(index)) for index in members.tolist()]
        wanted = (known >= 0).any(axis=1)
        if split == "train":
            wanted &= ~_held_out(store, sequences)
        if not wanted.any():
            raise InputError(Problem(str(store.path), f"has no labelled peptide in split {split}"))
        kept = np.flatnonzero(wanted).tolist()
        self.labels: Int8[np.ndarray, "p l"] = known[kept]
        self.sequences = [sequences[row] for row in kept]
        self.members: Int[np.ndarray, " p"] = members[kept]
        self._weights = _family_weights(store.cluster_index[self.members])
        self._sampler = LengthBucketSampler(
            [len(sequence) for sequence in self.sequences],
            max_tokens=config.max_tokens,
            max_batch=config.max_batch,
            bucket_edges=config.bucket_edges,
            seed=derive_seed(seed, split),
        )

    def __len__(self) -> int:
        return len(self.sequences)

    def __call__(self, epoch: int) -> "ActivityBatches":
        """Return the batches of an epoch."""
        return ActivityBatches(self, self._sampler.batches(epoch))

    def read(self, items: Int[np.ndarray, " _"]) -> ActivityBatch:
        """Make one batch."""
        encoded = [torch.from_numpy(encode_sequence(self.sequences[item])) for item in items]
        tokens, mask = pad_tokens(encoded)
        labels = torch.from_numpy(self.labels[items])
        names = tuple(f"peptide {index} of the store" for index in self.members[items].tolist())
        return ActivityBatch(tokens, mask, labels, torch.from_numpy(self._weights[items]), names)


class ActivityBatches(Sequence[ActivityBatch]):
    """Batches of one epoch, made when indexed."""

    def __init__(self, source: ActivitySource, batches: Sequence[Int[np.ndarray, " _"]]) -> None:
        self._source, self._batches = source, batches

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, index: Any) -> Any:
        """Make one batch."""
        return self._source.read(self._batches[index])


class ClassifierTask:
    """The classifier, its batches and its loss, for the training loop.

    Cells that nobody filled in are not in the loss. A label weighs with the inverse root of the
    number of its cells, a peptide with the inverse root of the size of its family.

    Args:
        model: what is trained.
        store: peptides with labels, splits and clusters; `train` is trained on, `val` validated on.
        data: which labels, and weights.
        seed: decides order and draws.
    """

    fixed_shapes = False

    def __init__(
        self,
        model: ActivityClassifier,
        store: PeptideStore,
        data: ClassifierDataConfig,
        *,
        seed: int,
    ) -> None:
        self.module: nn.Module = model
        self._model, self._store, self._data = model, store, data
        self.training_batches = ActivitySource(store, "train", model.labels, data, seed=seed)
        self._validation = ActivitySource(store, "val", model.labels, data, seed=seed)
        known = (self.training_batches.labels >= 0).sum(axis=0)
        weights = np.minimum((known.max() / known) ** 0.5, data.largest_label_weight)
        self._label_weights = torch.from_numpy(weights.astype(np.float32))

    @property
    def settings(self) -> Mapping[str, Any]:
        """What decides the numbers."""
        return {
            "network": self._model.config.model_dump(mode="json"),
            "data": self._data.model_dump(mode="json"),
            "store": store_checksums(self._store),
        }

    @property
    def num_peptides(self) -> dict[str, int]:
        """Peptides that are trained on and validated on."""
        return {"train": len(self.training_batches), "val": len(self._validation)}

    @property
    def num_known(self) -> dict[str, tuple[int, int]]:
        """Peptides with a 1 and with a 0 that are trained on, by label."""
        columns = zip(self._model.labels, self.training_batches.labels.T, strict=True)
        return {name: (int((cells == 1).sum()), int((cells == 0).sum())) for name, cells in columns}

    def validation_batches(self) -> Sequence[ActivityBatch]:
        """Batches of the validation split."""
        return self._validation(0)

    def loss(self, batch: ActivityBatch, generator: torch.Generator) -> ActivityLoss:
        """Hide some residues while training, and compare with what is known."""
        tokens = batch.tokens
        if self._model.training:
            draw = torch.rand(tokens.shape, generator=generator).to(tokens.device)
            tokens = tokens.masked_fill(draw < self._data.hidden_share, HIDDEN_TOKEN)
        logits = self._model(tokens, batch.mask).float()
        weights = self._cell_weights(batch)
        errors = nn.functional.binary_cross_entropy_with_logits(
            logits, batch.labels.clamp(min=0).to(logits.dtype), reduction="none"
        )
        loss = (errors * weights).sum() / weights.sum()
        return ActivityLoss(loss, {"cross_entropy": loss})

    def compile(self) -> None:
        """Compile the network, which is called with peptides of many lengths."""
        self.module.compile(dynamic=True)

    def batch_names(self, batch: ActivityBatch) -> Sequence[str]:
        """Places of the peptides in the store."""
        return batch.names

    def batch_size(self, batch: ActivityBatch) -> int:
        """Number of peptides."""
        return len(batch.names)

    def loss_weight(self, batch: ActivityBatch) -> float:
        """Sum of the weights, over which the loss is a mean."""
        return float(self._cell_weights(batch).sum())

    def to(self, batch: ActivityBatch, device: torch.device) -> ActivityBatch:
        """Copy a batch to a device."""
        return ActivityBatch(
            batch.tokens.to(device),
            batch.mask.to(device),
            batch.labels.to(device),
            batch.weights.to(device),
            batch.names,
        )

    def _cell_weights(self, batch: ActivityBatch) -> Float32[Tensor, "b l"]:
        known = (batch.labels >= 0).float()
        return known * batch.weights[:, None] * self._label_weights.to(batch.weights.device)


def _held_out(store: PeptideStore, sequences: Sequence[str]) -> Bool[np.ndarray, " p"]:
    """Which sequences are, without their leading M, also in another split."""
    others = np.setdiff1d(np.arange(len(store)), store.split("train"))
    elsewhere = {drop_start(store.sequence(index)) for index in others.tolist()}
    return np.array([sequence in elsewhere for sequence in sequences])


def _family_weights(clusters: Int[np.ndarray, " p"]) -> Float32[np.ndarray, " p"]:
    sizes = np.bincount(clusters)[clusters]
    return (1.0 / np.sqrt(sizes)).astype(np.float32)
