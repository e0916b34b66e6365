"""The commands, and the one door through which every error leaves.

A command returns its exit code: 0 done, 1 ran but some items failed (`cli.exit_codes`); the door
adds 2 for bad usage or input and 130 for Ctrl-C and SIGTERM.
"""

import importlib
import inspect
import itertools
import logging
import os
import signal
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from cyclopts import App, CycloptsError, Parameter
from rich.text import Text

from foldwright import __version__
from foldwright.cli.commands import COMMANDS, GROUPS, require_command
from foldwright.cli.console import messages_console
from foldwright.cli.exit_codes import BAD_INPUT, DONE, PIPE_CLOSED, STOPPED
from foldwright.runtime.allocator import prefer_huge_pages
from foldwright.runtime.errors import FoldwrightError, InputError, Problem


def build_app(words: Sequence[str]) -> App:
    """Return the application for one command line.

    Args:
        words: the command line. The command it names is imported and shows its own docstring
            as its help page; all others have their line in the list and are not imported.
    """
    app = App(
        name="foldwright",
        help="Generate, train and check proteins on the hardware people have.",
        version=__version__,
        suppress_keyboard_interrupt=False,
        help_format="markdown",
        default_parameter=Parameter(negative_iterable=()),
    )
    groups = {"": app}
    for name, summary in GROUPS.items():
        outer, _, own = name.rpartition(" ")
        groups[name] = App(name=own, help=summary)
        groups[outer].command(groups[name])
    for command, place, summary in COMMANDS:
        group, _, name = command.rpartition(" ")
        if list(words[: command.count(" ") + 1]) == command.split():
            module, _, function = place.partition(":")
            called = getattr(importlib.import_module(module), function)
            groups[group].command(called, name=name, help_epilogue=_examples(called))
        else:
            groups[group].command(place, name=name, help=summary)
    return app


def _examples(command: Callable[..., int]) -> str:
    """Return the `Examples:` of a docstring as a code block; cyclopts leaves them out."""
    _, _, rest = (inspect.getdoc(command) or "").partition("\nExamples:\n")
    lines = itertools.takewhile(lambda line: not line or line.startswith(" "), rest.splitlines())
    block = textwrap.dedent("\n".join(lines)).strip()
    return f"Examples:\n```\n{block}\n```" if block else ""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code.

    Args:
        arguments: the words after `foldwright`; those of the process by default.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words[:1] != ["train"]:
        prefer_huge_pages()  # commands import torch later
    _show_notes()
    try:
        require_command(words)
        with _terminate_as_ctrl_c():
            result = build_app(words)(
                words,
                exit_on_error=False,
                print_error=False,
                result_action="return_value",
            )
    except CycloptsError as error:
        # Imported here, since --help is faster without pydantic.
        from foldwright.cli.usage_errors import usage_problems

        _print_problems(usage_problems(error))
        return BAD_INPUT
    except InputError as error:
        _print_problems(error.problems)
        return BAD_INPUT
    except FoldwrightError as error:
        _print_problems([Problem("", str(error))])
        return BAD_INPUT
    except KeyboardInterrupt:
        _print_line("stopped; run the same command again to resume", "yellow")
        return STOPPED
    except BrokenPipeError:  # the reader, `head` for instance, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED
    return result if isinstance(result, int) else DONE


@contextmanager
def _terminate_as_ctrl_c() -> Iterator[None]:
    """Let SIGTERM, which batch systems send, stop a command as tidily as Ctrl-C does."""
    watched = threading.current_thread() is threading.main_thread()
    if not watched or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def _print_problems(problems: Sequence[Problem]) -> None:
    for problem in problems:
        line = Text("error: ", style="bold red")
        if problem.place:
            line.append(f"{problem.place}: ", style="bold")
        line.append(problem.message, style="not bold default")
        messages_console().print(line, soft_wrap=True)


def _print_line(message: str, style: str) -> None:
    messages_console().print(Text(message, style=style), soft_wrap=True)


class _Notes(logging.Handler):
    """Writes what the package logs to stderr, above a progress bar that is drawn there."""

    def emit(self, record: logging.LogRecord) -> None:
        _print_line(self.format(record), "dim" if record.levelno < logging.WARNING else "yellow")


def _show_notes() -> None:
    logger = logging.getLogger("foldwright")
    if not any(isinstance(handler, _Notes) for handler in logger.handlers):
        logger.addHandler(_Notes())
        logger.setLevel(logging.INFO)
