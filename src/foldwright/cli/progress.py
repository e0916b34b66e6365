"""Progress on stderr: a bar on a terminal, a line every ten seconds elsewhere."""

import time
from collections.abc import Callable
from functools import cache
from types import TracebackType
from typing import ClassVar

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bars
from rich.text import Text

from foldwright.cli.console import messages_console
from foldwright.runtime.progress import Progress

_SECONDS_BETWEEN_LINES = 10.0


def terminal_progress(description: str, total: int) -> Progress:
    """Return a progress that draws on stderr; several may run inside one another.

    Args:
        description: what is being done.
        total: number of steps, 0 where it is not known.
    """
    if messages_console().is_terminal:
        return _BarProgress(_display(), description, total)
    return PlainProgress(description, total)


class PlainProgress:
    """Writes a line with rate, time left and the newest fields at most every ten seconds.

    Work inside other work that is over before its first line stays silent.
    """

    _running: ClassVar[list["PlainProgress"]] = []

    def __init__(
        self, description: str, total: int, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._description = description
        self._total = total
        self._clock = clock
        self._done = self._skipped = 0
        self._fields: dict[str, int | float | str] = {}
        self._began = self._written = clock()

    def __enter__(self) -> "PlainProgress":
        self._began = self._written = self._clock()
        self._running.append(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._running.remove(self)
        told = self._written > self._began
        if self._done and (told or not self._running):
            self._write("finished" if kind is None else "stopped")

    def advance(self, steps: int = 1, **fields: int | float | str) -> None:
        """Count `steps`; write a line when the last one is ten seconds old."""
        self._done += steps
        self._fields.update(fields)
        if self._clock() - self._written >= _SECONDS_BETWEEN_LINES:
            self._write("")

    def skip(self, steps: int) -> None:
        """Count steps of an earlier run, which do not enter the rate."""
        self._done += steps
        self._skipped += steps

    def _write(self, end: str) -> None:
        self._written = self._clock()
        seconds = self._written - self._began
        rate = (self._done - self._skipped) / seconds if seconds > 0 else None
        parts = [f"{self._done}/{self._total}" if self._total else str(self._done)]
        parts.append(rate_text(rate))
        if end:
            parts.append(f"{end} after {duration_text(seconds)}")
        elif rate and self._total:
            parts.append(f"{duration_text((self._total - self._done) / rate)} left")
        parts.append(fields_text(self._fields))
        line = f"{self._description}: {', '.join(part for part in parts if part)}"
        messages_console().print(line, markup=False, soft_wrap=True)


def rate_text(rate: float | None) -> str:
    """Return a rate in steps per second as text: `12.5/s`, or `3.2 s each` for slow steps."""
    if not rate:
        return ""
    return f"{rate:.3g}/s" if rate >= 1 else f"{1 / rate:.3g} s each"


def duration_text(seconds: int | float) -> str:
    """Return a time span as text: `42 s`, `3 min 05 s`, `2 h 10 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def fields_text(fields: dict[str, int | float | str]) -> str:
    """Return named values as text: `loss 0.1234, lr 0.0001`."""
    shown = (v if isinstance(v, str) else f"{v:.4g}" for v in fields.values())
    return ", ".join(f"{name} {value}" for name, value in zip(fields, shown, strict=True))


class _RateColumn(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(rate_text(task.finished_speed or task.speed))


class _FieldsColumn(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(fields_text(task.fields["shown"]))


class _Display:
    """The one live area of the process, shared by bars that run inside one another."""

    def __init__(self) -> None:
        self._bars = Bars(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            _RateColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            _FieldsColumn(),
            console=messages_console(),
        )
        self._open: list[TaskID] = []

    def add(self, description: str, total: int) -> TaskID:
        if not self._open:
            for task in self._bars.task_ids:  # finished bars of work that is over
                self._bars.remove_task(task)
            self._bars.start()
        self._open.append(self._bars.add_task(description, total=total or None, shown={}))
        return self._open[-1]

    def advance(self, task: TaskID, steps: int, fields: dict[str, int | float | str]) -> None:
        self._bars.update(task, advance=steps, shown=dict(fields))

    def skip(self, task: TaskID, steps: int) -> None:
        self._bars.reset(task, completed=steps)

    def close(self, task: TaskID) -> None:
        self._open.remove(task)
        if self._open:
            self._bars.remove_task(task)
        else:
            self._bars.stop()


@cache
def _display() -> _Display:
    return _Display()


class _BarProgress:
    def __init__(self, display: _Display, description: str, total: int) -> None:
        self._display = display
        self._description = description
        self._total = total
        self._fields: dict[str, int | float | str] = {}
        self._task: TaskID | None = None

    def __enter__(self) -> "_BarProgress":
        self._task = self._display.add(self._description, self._total)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._task is not None
        self._display.close(self._task)

    def advance(self, steps: int = 1, **fields: int | float | str) -> None:
        assert self._task is not None
        self._fields.update(fields)
        self._display.advance(self._task, steps, self._fields)

    def skip(self, steps: int) -> None:
        assert self._task is not None
        self._display.skip(self._task, steps)
