"""Batches of peptides from a store."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from pydantic import Field
from torch import Tensor

from foldwright.data.batching import LengthBucketSampler
from foldwright.data.peptide_store import PeptideStore
from foldwright.models.peptide.features import StructureFeatures
from foldwright.models.peptide.inputs import PeptideBatch, collate_peptides
from foldwright.runtime.config import Config
from foldwright.runtime.errors import InputError, Problem
from foldwright.runtime.seeds import derive_seed


class PeptideBatchConfig(Config):
    """Which peptides are trained on, and how many at a time."""

    other_share: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="share of an epoch drawn anew from peptides without any label 1; null: all",
    )
    structures: bool = Field(
        default=False, description="read the structures of peptides that have one"
    )
    max_batch: int = Field(default=256, ge=1, description="most peptides in a batch")
    max_tokens: int | None = Field(
        default=4096,
        ge=1,
        description="most residues in a batch, padding included: dynamic batch size",
    )
    bucket_edges: tuple[int, ...] = Field(
        default=(8, 10, 12, 14, 16, 18, 20, 22, 24, 27, 30, 33, 36, 40, 45),
        description="longest peptides of the buckets of similar length",
    )


class PeptideBatches(Sequence[PeptideBatch]):
    """Batches of one epoch, read from the store when indexed."""

    def __init__(
        self, source: "PeptideSource", batches: Sequence[Int[np.ndarray, " _"]], epoch: int
    ) -> None:
        self._source, self._batches, self._epoch = source, batches, epoch

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, index: Any) -> Any:
        """Read one batch."""
        return replace(self._source.read(self._batches[index]), epoch=self._epoch)


class PeptideSource:
    """The peptides of a split; called with an epoch it gives its batches.

    Worker processes get this object: it holds the store, not the model.

    Raises:
        InputError: the split has no peptide.
    """

    def __init__(
        self, store: PeptideStore, split: str, config: PeptideBatchConfig, *, seed: int
    ) -> None:
        self._store, self._config = store, config
        self._members = store.split(split)
        if len(self._members) == 0:
            found = ", ".join(f"{name} {count}" for name, count in store.info.splits.items())
            message = f"has no peptide of the split {split} (found: {found}); prepare it with both"
            raise InputError(Problem(str(store.path), message))
        self._features: dict[int, StructureFeatures | None] = {}
        groups = None
        if config.other_share is not None:
            groups = _groups(store, self._members, config.other_share)
        self._size = len(self._members) if groups is None else len(np.unique(groups))
        self._sampler = LengthBucketSampler(
            store.lengths[self._members],
            cluster_index=groups,
            max_tokens=config.max_tokens,
            max_batch=config.max_batch,
            bucket_edges=config.bucket_edges,
            seed=derive_seed(seed, split),
        )

    def __len__(self) -> int:
        return self._size

    def __call__(self, epoch: int) -> PeptideBatches:
        """Return the batches of an epoch."""
        return PeptideBatches(self, self._sampler.batches(epoch), epoch)

    def read(self, items: Int[np.ndarray, " _"]) -> PeptideBatch:
        """Read peptides by their places in the split."""
        indices = self._members[items].tolist()
        store = self._store
        structures = None
        if self._config.structures:
            structures = [self._structure(index) for index in indices]
        return collate_peptides(
            [torch.from_numpy(store.tokens(index).astype(np.int64)) for index in indices],
            [torch.from_numpy(np.array(store.labels[index])) for index in indices],
            [store.sequence(index) for index in indices],
            structures=structures,
        )

    def _structure(self, index: int) -> StructureFeatures | None:
        if index not in self._features:
            found = self._store.structure(index)
            self._features[index] = (
                None
                if found is None
                else StructureFeatures.of_structure(found.backbone, found.atom_exists, found.plddt)
            )
        return self._features[index]


def store_checksums(store: PeptideStore) -> dict[str, str]:
    """Checksums of the files of a store by name: what a resumed run must find again."""
    return {name: facts.sha256 for name, facts in sorted(store.info.files.items())}


def length_counts(store: PeptideStore, max_length: int) -> Tensor:
    """Histogram of lengths in the split train: a row for each label's 1, the last for all.

    Raises:
        InputError: a peptide is longer than `max_length`.
    """
    members = store.split("train")
    lengths = store.lengths[members]
    longest = int(lengths.max())
    if longest > max_length:
        row = int(members[lengths.argmax()])
        message = (
            f"{store.sequence(row)} has {longest} residues, more than max_length={max_length}; "
            "raise it, or prepare a store of shorter peptides"
        )
        raise InputError(Problem(str(store.path), message))
    labels = np.array(store.labels[members])
    rows = [lengths[labels[:, k] == 1] for k in range(labels.shape[1])] + [lengths]
    counts = np.stack([np.bincount(row, minlength=max_length + 1) for row in rows])
    return torch.from_numpy(counts.astype(np.int64))


def _groups(
    store: PeptideStore, members: Int[np.ndarray, " m"], other_share: float
) -> Int[np.ndarray, " m"]:
    """Group number of each peptide; an epoch takes one of each group.

    Peptides with any label 1 are alone in theirs. The others are dealt to as many groups as make
    up their share of the epoch; where they are too few, each is alone too.
    """
    active = (store.labels[members] == 1).any(axis=1)
    num_active, num_others = int(active.sum()), int((~active).sum())
    if num_active == 0:
        message = "has no peptide with a label 1: there is nothing to condition on"
        raise InputError(Problem(str(store.path), f"{message}; prepare a table with labels"))
    wanted = max(1, round(num_active * other_share / (1 - other_share)))
    groups = np.empty(len(members), dtype=np.int64)
    groups[active] = np.arange(num_active)
    groups[~active] = num_active + np.arange(num_others) % min(wanted, max(num_others, 1))
    return groups
