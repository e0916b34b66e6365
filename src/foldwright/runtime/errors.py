"""What goes wrong, said so that a person can act on it."""

from collections.abc import Sequence
from dataclasses import dataclass


class FoldwrightError(Exception):
    """Something a user can understand and act on; every error the package raises on purpose."""


@dataclass(frozen=True)
class Problem:
    """One thing wrong with an input: where it is, and what to do about it."""

    place: str
    message: str

    def __str__(self) -> str:
        return f"{self.place}: {self.message}" if self.place else self.message


class InputError(FoldwrightError, ValueError):
    """Everything that is wrong with what the user gave, reported together.

    Args:
        problems: one message, one `Problem`, or all problems found.
    """

    problems: tuple[Problem, ...]

    def __init__(self, problems: str | Problem | Sequence[Problem]) -> None:
        if isinstance(problems, str):
            problems = Problem("", problems)
        if isinstance(problems, Problem):
            problems = (problems,)
        self.problems = tuple(problems)
        assert self.problems, "an InputError without a problem says nothing"
        # args are what pickle rebuilds the error from, in a worker's answer for instance.
        super().__init__(self.problems)

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.problems)
