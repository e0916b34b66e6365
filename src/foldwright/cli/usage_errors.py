"""What is wrong with a command line, one line per problem, as every other error is shown."""

import re
from typing import Literal, get_args, get_origin

from cyclopts import CoercionError, CycloptsError, MissingArgumentError, UnusedCliTokensError
from pydantic import ValidationError

from foldwright.runtime.config import value_complaint
from foldwright.runtime.errors import Problem

_NUMBERS: dict[object, str] = {int: "a whole number", float: "a number"}
# Names of settings in a sentence of ours: two or more words joined by underscores.
_FIELD_NAME = re.compile(r"\b[a-z]+(?:_[a-z]+)+\b")


def usage_problems(error: CycloptsError) -> list[Problem]:
    """Return the problems of a command line that could not be read.

    Values that settings refuse are named by their option; the last problem says where help is.
    """
    if isinstance(error.__cause__, ValidationError):
        problems = [_setting_problem(detail) for detail in error.__cause__.errors()]
    else:
        problems = [_parsing_problem(error)]
    *others, last = problems
    page = " ".join(["foldwright", *(error.command_chain or ()), "--help"])
    end = " See" if last.message.endswith("?") else "; see"
    return [*others, Problem(last.place, f"{last.message}{end} {page}")]


def _setting_problem(detail: object) -> Problem:
    assert isinstance(detail, dict)
    place = "".join(_option(str(part)) for part in detail["loc"][:1])
    return Problem(place, _FIELD_NAME.sub(lambda name: _option(name[0]), value_complaint(detail)))


def _option(field: str) -> str:
    return f"--{field.replace('_', '-')}"


def _parsing_problem(error: CycloptsError) -> Problem:
    if isinstance(error, UnusedCliTokensError) and error.unused_tokens:
        words = " ".join(error.unused_tokens)
        return Problem(words, "found more words than this command takes")
    if isinstance(error, MissingArgumentError) and error.argument is not None:
        name = error.argument.name
        if error.argument.index is None:
            return Problem(name, "needs a value; found none")
        return Problem(name.removeprefix("--").upper(), "is missing on the command line")
    if isinstance(error, CoercionError) and error.token is not None and error.argument is not None:
        kind = error.target_type
        choices = ", ".join(map(str, get_args(kind))) if get_origin(kind) is Literal else None
        expected = choices or _NUMBERS.get(kind)
        if expected is not None:
            place = error.token.keyword or error.argument.name
            return Problem(place, f"found {error.token.value!r}, expected {expected}")
    return Problem("", " ".join(str(error).split()).rstrip("."))
