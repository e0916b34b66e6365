"""When a run stops early: a signal, or the time it was given."""

import signal
import threading
import time
from types import FrameType, TracebackType
from typing import Literal

Reason = Literal["interrupted", "out of time"]


class StopWatch:
    """Notices SIGINT, SIGTERM and the end of the time budget; the loop asks between steps.

    A second signal does what it does without this: it ends the program. Signals can only be
    watched by the main thread; elsewhere they keep their meaning.
    """

    def __init__(self, max_minutes: float | None) -> None:
        self._seconds = None if max_minutes is None else 60.0 * max_minutes
        self._signalled = False
        self._previous: dict[int, object] = {}
        self._start = 0.0

    def __enter__(self) -> "StopWatch":
        self._start = time.monotonic()
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous[number] = signal.signal(number, self._notice)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._restore()

    @property
    def reason(self) -> Reason | None:
        """Why the run should stop now, or None."""
        if self._signalled:
            return "interrupted"
        if self._seconds is not None and time.monotonic() - self._start >= self._seconds:
            return "out of time"
        return None

    def _notice(self, number: int, frame: FrameType | None) -> None:
        self._signalled = True
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        self._previous = {}
