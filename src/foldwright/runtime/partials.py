"""Names of unfinished files and folders, and the removal of those whose process is gone.

A process that is killed outright cannot clean up. The name of what it was writing says on which
machine and in which process, so that the next run knows what nobody will finish.
"""

import hashlib
import os
import platform
import re
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

import psutil

_NAME = re.compile(r"\.partial-(?P<machine>[0-9a-f]{6})-(?P<process>\d+)-[0-9a-f]{12}-(?P<of>.+)")


def partial_name(name: str) -> str:
    """Return a new hidden name for `name` while it is unfinished; it ends in `name`."""
    return f".partial-{_machine()}-{os.getpid()}-{secrets.token_hex(6)}-{name}"


def abandoned_partials(folder: Path, name: str | None = None) -> Iterator[Path]:
    """Find what processes of this machine that are gone left unfinished, directly in `folder`.

    Args:
        folder: need not exist.
        name: look for unfinished versions of this file or folder alone.
    """
    if not folder.is_dir():
        return
    for path in sorted(folder.glob(".partial-*")):
        match = _NAME.fullmatch(path.name)
        if match is None or match["machine"] != _machine() or name not in (None, match["of"]):
            continue
        if not psutil.pid_exists(int(match["process"])):
            yield path


def remove_partials(folder: Path, name: str | None = None) -> None:
    """Remove what `abandoned_partials` finds; what cannot be removed stays, hidden as it is."""
    for path in abandoned_partials(folder, name):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
            continue
        try:
            path.unlink(missing_ok=True)
        except OSError:  # of another user, or on a disk that became read-only: readers pass it over
            continue


def _machine() -> str:
    return hashlib.sha256(platform.node().encode()).hexdigest()[:6]
