"""The two streams of the command line: results on stdout, everything else on stderr."""

import sys
from functools import cache

from rich.console import Console

_WIDTH_OF_A_FILE = 200


@cache
def results_console() -> Console:
    """Return the console for results; wide when it is not a terminal, so that tables stay whole."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else _WIDTH_OF_A_FILE)


@cache
def messages_console() -> Console:
    """Return the console for progress, notes and errors."""
    return Console(stderr=True, highlight=False)
