"""Training the backbone model on the chains of a store."""

import functools
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor

from foldwright.data.batching import LengthBucketSampler
from foldwright.data.curriculum import CurriculumConfig, longest_chain
from foldwright.data.store import ChainStore
from foldwright.geometry.quaternion import quaternion_to_matrix
from foldwright.models.backbone.config import LossConfig
from foldwright.models.backbone.inputs import BackboneBatch, collate
from foldwright.models.backbone.loss import BackboneLoss, diffusion_loss, draw_noise
from foldwright.models.backbone.model import BackboneModel
from foldwright.runtime.config import Config
from foldwright.runtime.errors import InputError, Problem
from foldwright.runtime.seeds import derive_seed, make_generator

_LOG = logging.getLogger(__name__)


class ChainBatchConfig(Config):
    """Which chains are trained on, and how many at a time."""

    min_length: int = Field(default=40, ge=4, description="shorter chains are left out")
    max_length: int | None = Field(
        default=None, ge=4, description="longest chain or crop; that of the model by default"
    )
    long_chains: Literal["skip", "crop"] = Field(
        default="skip", description="chains over max_length: left out, or cut at random"
    )
    one_per_cluster: bool = Field(
        default=True, description="an epoch takes one chain of each cluster, drawn anew"
    )
    rotate: bool = Field(default=True, description="turn every chain at random")
    max_batch: int = Field(default=16, ge=1, description="most chains in a batch")
    max_tokens: int | None = Field(
        default=None, ge=1, description="most residues in a batch, padding included"
    )
    max_pairs: int | None = Field(
        default=None, ge=1, description="most residue pairs in a batch, padding included"
    )
    bucket_edges: tuple[int, ...] = Field(
        default=(64, 96, 128, 160, 192, 224, 256, 320, 384, 512),
        description="longest chains of the buckets of similar length",
    )
    curriculum: CurriculumConfig | None = Field(
        default=None, description="short chains first: longest chain by epoch; null is off"
    )
    self_condition_rate: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="share of batches with self-conditioning, for networks that have it",
    )


class ChainBatches(Sequence[BackboneBatch]):
    """Batches of one epoch, read from the store when indexed.

    Crops and rotations depend on the seed, the epoch and the chain alone.
    """

    def __init__(
        self,
        chains: "ChainSource",
        batches: Sequence[Int[np.ndarray, " _"]],
        seed: int,
        longest: int,
    ) -> None:
        self._chains = chains
        self._batches = batches
        self._seed = seed
        self._longest = longest

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, index: Any) -> Any:
        """Read one batch."""
        items = [int(item) for item in self._batches[index]]
        chains = [self._chains.read(item, self._seed, self._longest) for item in items]
        names = [self._chains.store.name(self._chains.index(item)) for item in items]
        return collate(chains, names, compat=self._chains.compat)


@dataclass(frozen=True)
class _Dealer:
    """Chains of a split up to a length, as places among its members, and their sampler."""

    longest: int
    chosen: Int[np.ndarray, " _"]
    sampler: LengthBucketSampler


class ChainSource:
    """The chains of a split that can be trained on; called with an epoch it gives its batches.

    Worker processes get this object: it holds the store, not the model.

    Raises:
        InputError: the split has no chain of a length that is wanted.
    """

    def __init__(
        self,
        store: ChainStore,
        split: Literal["train", "val"],
        config: ChainBatchConfig,
        *,
        max_length: int,
        seed: int,
        compat: str | None = None,
    ) -> None:
        self.store, self.compat = store, compat
        self._config, self._max_length, self._seed = config, max_length, seed
        self._split, self._augment = split, split == "train"
        if self.longest(0) < max_length:  # the first epochs must have chains too
            _usable(store, split, config, self.longest(0))
        self._members = _usable(store, split, config, max_length)
        self._dealt = self._dealer(max_length)

    def __len__(self) -> int:
        return len(self._members)

    def __call__(self, epoch: int) -> ChainBatches:
        """Return the batches of an epoch."""
        longest = self.longest(epoch)
        if longest != self._dealt.longest:
            self._dealt = self._dealer(longest)
        chosen, sampler = self._dealt.chosen, self._dealt.sampler
        batches = [chosen[batch] for batch in sampler.batches(epoch)]
        return ChainBatches(self, batches, derive_seed(self._seed, "chains", epoch), longest)

    def longest(self, epoch: int) -> int:
        """Return the longest chain or crop of an epoch; validation always takes the full length."""
        if self._config.curriculum is None or not self._augment:
            return self._max_length
        return longest_chain(self._config.curriculum, epoch, self._max_length)

    def _dealer(self, longest: int) -> "_Dealer":
        """Who is dealt up to a length: chains that are too long join in later epochs."""
        lengths, config = self.store.lengths[self._members], self._config
        chosen = np.arange(len(lengths))
        if config.long_chains == "skip":
            chosen = chosen[lengths <= longest]
        balanced = config.one_per_cluster and self._augment
        sampler = LengthBucketSampler(
            np.minimum(lengths[chosen], longest),
            cluster_index=self.store.cluster_index[self._members[chosen]] if balanced else None,
            max_tokens=config.max_tokens,
            max_pairs=config.max_pairs,
            max_batch=config.max_batch,
            bucket_edges=config.bucket_edges,
            seed=derive_seed(self._seed, self._split),
        )
        return _Dealer(longest, chosen, sampler)

    def index(self, item: int) -> int:
        """Return the place in the store of a chain of this split."""
        return int(self._members[item])

    def read(self, item: int, seed: int, longest: int) -> Float[Tensor, "n 3"]:
        """Read C-alpha positions, cut to the longest length allowed, and turned while training."""
        generator = make_generator(seed, item)
        ca = torch.from_numpy(self.store[self.index(item)].ca)
        spare = len(ca) - longest
        if spare > 0:
            start = spare // 2
            if self._augment:
                start = int(torch.randint(spare + 1, (), generator=generator))
            ca = ca[start : start + longest]
        if self._augment and self._config.rotate:
            rotation = quaternion_to_matrix(
                torch.nn.functional.normalize(torch.randn(4, generator=generator), dim=0)
            )
            ca = (ca - ca.mean(dim=0)) @ rotation.T
        return ca


class BackboneTask:
    """The model, its batches and its loss, for the training loop.

    Args:
        model: what is trained.
        store: chains with their splits; `train` is trained on, `val` validated on.
        chains: which chains, and how many at a time.
        loss: terms of the loss.
        seed: decides order, draws, crops and rotations.
    """

    fixed_shapes = False

    def __init__(
        self,
        model: BackboneModel,
        store: ChainStore,
        chains: ChainBatchConfig,
        loss: LossConfig,
        *,
        seed: int,
    ) -> None:
        self.module = model
        self._chains, self._loss = chains, loss
        longest = min(chains.max_length or model.max_length, model.max_length)
        source = functools.partial(
            ChainSource,
            store,
            config=chains,
            max_length=longest,
            seed=seed,
            compat=model.diffusion.compat,
        )
        self.training_batches = source("train")
        self._validation = source("val") if len(store.split("val")) else None
        if self._validation is None:
            _LOG.warning("%s: no chain of the split val, so nothing to validate on", store.path)
        self._store = store

    @property
    def settings(self) -> Mapping[str, Any]:
        """What decides the numbers: model, process, loss, chains, and the store's contents."""
        return {
            "genie": self.module.genie.model_dump(mode="json"),
            "diffusion": self.module.diffusion.model_dump(mode="json"),
            "loss": self._loss.model_dump(mode="json"),
            "chains": self._chains.model_dump(mode="json"),
            "store": {name: facts.sha256 for name, facts in sorted(self._store.info.files.items())},
        }

    @property
    def num_chains(self) -> dict[str, int]:
        """Chains that are trained on and validated on."""
        validation = 0 if self._validation is None else len(self._validation)
        return {"train": len(self.training_batches), "val": validation}

    def validation_batches(self) -> Sequence[BackboneBatch]:
        """Batches of the validation split, as they are: not turned, cut in the middle."""
        return () if self._validation is None else self._validation(0)

    def loss(self, batch: BackboneBatch, generator: torch.Generator) -> BackboneLoss:
        """Draw times and noise, and measure the prediction."""
        noised = draw_noise(self.module, batch, generator)
        rate = self._chains.self_condition_rate if self.module.genie.self_conditioning else 0.0
        again = bool(torch.rand((), generator=generator) < rate)
        return diffusion_loss(self.module, noised, self._loss, self_condition=again)

    def compile(self) -> None:
        """Compile the network, which is called with chains of many lengths."""
        self.module.network.compile(dynamic=True)

    def batch_names(self, batch: BackboneBatch) -> Sequence[str]:
        """Names of the chains."""
        return batch.names

    def batch_size(self, batch: BackboneBatch) -> int:
        """Number of chains."""
        return len(batch.names)

    def loss_weight(self, batch: BackboneBatch) -> float:
        """Number of residues, over which the loss is a mean."""
        return float(batch.mask.sum())

    def to(self, batch: BackboneBatch, device: torch.device) -> BackboneBatch:
        """Copy a batch to a device."""
        return batch.to(device)


def _usable(
    store: ChainStore, split: str, config: ChainBatchConfig, max_length: int
) -> Int[np.ndarray, " _"]:
    members = store.split(split)
    lengths = store.lengths[members]
    wanted = lengths >= config.min_length
    if config.long_chains == "skip":
        wanted &= lengths <= max_length
    if not wanted.any():
        raise InputError(
            Problem(
                str(store.path),
                f"split {split} has {len(members)} chains, none of {config.min_length} to "
                f"{max_length} residues; prepare others, or change chains.min_length and "
                "chains.max_length",
            )
        )
    return members[wanted]
