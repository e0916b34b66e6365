"""What a model gives the loop to train it."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeVar, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

BatchT = TypeVar("BatchT")


@runtime_checkable
class LossReport(Protocol):
    """The loss of a batch, a mean, and the terms it is made of; models have their own records."""

    @property
    def total(self) -> Float[Tensor, ""]:
        """What is minimised."""
        ...

    @property
    def parts(self) -> Mapping[str, Tensor]:
        """Scalars by name, which are written down."""
        ...


@runtime_checkable
class Task(Protocol[BatchT]):
    """A module, its batches and its loss.

    Everything here is a pure function of its arguments: the same epoch has the same batches in
    the same order in every process, and randomness comes from the generator passed (or, in
    modules such as dropout, from the global one, which the loop seeds for every batch).
    """

    @property
    def module(self) -> nn.Module:
        """The network; the loop moves it, and saves its `state_dict`."""
        ...

    @property
    def settings(self) -> Mapping[str, Any]:
        """What decides the numbers, as JSON values: a resumed run must have the same."""
        ...

    @property
    def fixed_shapes(self) -> bool:
        """Whether all batches have one shape, so that looking for the fastest kernel pays."""
        ...

    def training_batches(self, epoch: int) -> Sequence[Any]:
        """Batches of an epoch on the CPU, each made when it is indexed.

        Worker processes index it. Where processes are not forked it is sent to them, so it may be
        an attribute that is called, without the module in it. Batches with a method
        `pin_memory()` are put into pinned memory for CUDA.
        """
        ...

    def validation_batches(self) -> Sequence[Any]:
        """Batches to validate on, the same ones every time; may be empty."""
        ...

    def loss(self, batch: BatchT, generator: torch.Generator) -> LossReport:
        """Loss of a batch on the device of the module; `generator` draws on the CPU."""
        ...

    def compile(self) -> None:
        """Compile what `loss` calls, in place."""
        ...

    def batch_names(self, batch: BatchT) -> Sequence[str]:
        """Names of the samples, for error messages."""
        ...

    def batch_size(self, batch: BatchT) -> int:
        """Number of samples."""
        ...

    def loss_weight(self, batch: BatchT) -> float:
        """Number of terms that the loss is the mean of: samples, or residues.

        Batches of a step are averaged with it, so that the way a step is cut into batches and
        processes does not matter.
        """
        ...

    def to(self, batch: BatchT, device: torch.device) -> BatchT:
        """Copy a batch to a device."""
        ...
