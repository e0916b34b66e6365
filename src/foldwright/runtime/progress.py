"""How long work reports that it goes on, without drawing anything."""

from collections.abc import Callable
from types import TracebackType
from typing import Protocol, runtime_checkable


@runtime_checkable
class Progress(Protocol):
    """One running piece of work, used as a context manager."""

    def __enter__(self) -> "Progress":
        """Start the clock."""
        ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop, finished or not."""
        ...

    def advance(self, steps: int = 1, **fields: int | float | str) -> None:
        """Report `steps` more steps done, and the newest values of named fields."""
        ...

    def skip(self, steps: int) -> None:
        """Count steps that an earlier run did; they tell nothing about the speed of this one."""
        ...


ProgressFactory = Callable[[str, int], Progress]
"""Makes a `Progress` from a description and the total number of steps (0: not known)."""


class _Silent:
    def __enter__(self) -> "_Silent":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return None

    def advance(self, steps: int = 1, **fields: int | float | str) -> None:
        return None

    def skip(self, steps: int) -> None:
        return None


def silent(description: str, total: int) -> Progress:
    """Return a progress that shows nothing: the default everywhere."""
    return _Silent()
