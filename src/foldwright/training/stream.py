"""The batches of every step, from any position on, with or without worker processes."""

import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from torch.utils.data import DataLoader, Dataset, Sampler

from foldwright.runtime.errors import InputError

BatchSource = Callable[[int], Sequence[Any]]
"""The batches of an epoch."""


@dataclass(frozen=True)
class Position:
    """Where a run is in its data: the next batch of an epoch."""

    epoch: int = 0
    offset: int = 0


@dataclass(frozen=True)
class StepPlan:
    """The batches that one process takes in one optimiser step.

    `batches` are positions within the epoch, `slots` their places among all batches of the step
    (of all processes): random numbers depend on the slot, not on the process.
    """

    epoch: int
    batches: tuple[int, ...]
    slots: tuple[int, ...]
    after: Position

    @property
    def ends_epoch(self) -> bool:
        """Whether the epoch is over after this step."""
        return self.after.epoch > self.epoch


@dataclass(frozen=True)
class Share:
    """How the batches of an epoch become steps: so many per step, dealt to so many processes."""

    accumulation: int = 1
    rank: int = 0
    num_ranks: int = 1


def plan_steps(source: BatchSource, start: Position, share: Share) -> Iterator[StepPlan]:
    """Yield the plans of all steps from `start` on, without end.

    Every batch of an epoch is taken once; the last step of an epoch may have fewer.

    Raises:
        InputError: an epoch has no batches.
    """
    width = share.accumulation * share.num_ranks
    epoch, offset = start.epoch, start.offset
    while True:
        total = len(source(epoch))
        if total == 0:
            raise InputError(f"epoch {epoch} has no batches: there is nothing to train on")
        for first in range(offset, total, width):
            end = min(first + width, total)
            slots = tuple(range(share.rank, end - first, share.num_ranks))
            after = Position(epoch + 1) if end == total else Position(epoch, end)
            yield StepPlan(epoch, tuple(first + slot for slot in slots), slots, after)
        epoch, offset = epoch + 1, 0


def stream_steps(
    source: BatchSource, start: Position, share: Share, *, num_workers: int, pin_memory: bool
) -> Iterator[tuple[StepPlan, list[Any]]]:
    """Yield each step's plan with its batches, which worker processes may load ahead.

    The result does not depend on the number of workers: an item of a worker is a whole step, a
    function of its plan alone.
    """
    loader: DataLoader[Any] = DataLoader(
        _StepBatches(source),
        sampler=_Plans(source, start, share),
        batch_size=None,
        num_workers=num_workers,
        collate_fn=_unchanged,
        pin_memory=pin_memory,
        worker_init_fn=_leave_signals_to_parent if num_workers else None,
    )
    return iter(loader)


class _StepBatches(Dataset[Any]):
    def __init__(self, source: BatchSource) -> None:
        self._source = source
        self._epoch: int | None = None
        self._batches: Sequence[Any] = ()

    def __getitem__(self, plan: Any) -> tuple[StepPlan, list[Any]]:
        if plan.epoch != self._epoch:
            self._batches, self._epoch = self._source(plan.epoch), plan.epoch
        return plan, [self._batches[index] for index in plan.batches]


class _Plans(Sampler[StepPlan]):
    def __init__(self, source: BatchSource, start: Position, share: Share) -> None:
        self._arguments = (source, start, share)

    def __iter__(self) -> Iterator[StepPlan]:
        return plan_steps(*self._arguments)


def _unchanged(item: Any) -> Any:
    return item


def _leave_signals_to_parent(worker: int) -> None:
    # Ctrl-C reaches the whole process group; workers must live until the step is finished.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
