"""How the problems of a file of parameters are reported: together, but not all of thousands."""

from collections.abc import Sequence

from foldwright.runtime.errors import InputError, Problem

_MOST = 20


def raise_problems(problems: Sequence[str], source: str) -> None:
    """Do nothing without problems.

    Raises:
        InputError: the first of the problems and the number of the others.
    """
    if not problems:
        return
    shown = list(problems[:_MOST])
    if len(problems) > len(shown):
        shown.append(f"and {len(problems) - len(shown)} more; is it the right file?")
    raise InputError([Problem(source, problem) for problem in shown])
