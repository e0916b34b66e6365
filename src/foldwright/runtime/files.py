"""Files that are either complete or absent, and their checksums."""

import errno
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from foldwright.runtime.errors import FoldwrightError, InputError, Problem
from foldwright.runtime.partials import partial_name

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
_READ_BYTES = 1 << 20


@contextmanager
def atomic_path(path: Path | str) -> Iterator[Path]:
    """Yield a temporary path in the folder of `path`; on success it becomes `path`.

    The body creates the file. It is flushed to the disk and renamed, so a reader sees the old file,
    the new one or none, never half of one. When the body raises, `path` is as it was before. The
    temporary name ends in the name of `path`, so writers that look at the suffix work. Missing
    parent folders are made.

    Raises:
        InputError: `path` cannot be written (permission, a folder of that name, a file as parent).
        FoldwrightError: the disk is full, or the body wrote no file.
    """
    target = Path(path)
    if target.is_dir():
        raise InputError(Problem(str(target), "is a folder; give the name of a file to write"))
    _make_parents(target)
    temporary = target.with_name(partial_name(target.name))
    try:
        yield temporary
        _publish(temporary, target)
    except OSError as error:
        if error.errno in _NO_SPACE:
            raise _full_disk(target, temporary) from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


def write_atomic(path: Path | str, data: bytes | str) -> None:
    """Write a whole file at once, or leave what was there; text is written as UTF-8.

    Raises:
        InputError: `path` cannot be written.
        FoldwrightError: the disk is full.
    """
    content = data.encode() if isinstance(data, str) else data
    with atomic_path(path) as temporary:
        try:
            handle = temporary.open("xb")
        except OSError as error:
            if error.errno in _NO_SPACE:
                raise
            raise _not_writable(Path(path), error) from error
        with handle:
            handle.write(content)


def sha256_file(path: Path | str) -> str:
    """Return the SHA-256 of a file's bytes as 64 hexadecimal digits."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as handle:
        while block := handle.read(_READ_BYTES):
            digest.update(block)
    return digest.hexdigest()


def _make_parents(target: Path) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        if error.errno in _NO_SPACE:
            raise _full_disk(target, target) from error
        raise _not_writable(target, error) from error


def _publish(temporary: Path, target: Path) -> None:
    if not temporary.exists():
        raise FoldwrightError(f"{target}: nothing was written to {temporary.name}")
    _flush(temporary, os.O_RDWR)
    temporary.replace(target)
    if os.name == "posix":  # elsewhere a folder cannot be opened, and renames are journalled
        _flush(target.parent, os.O_RDONLY)


def _flush(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _not_writable(target: Path, error: OSError) -> InputError:
    reason = error.strerror or str(error)
    return InputError(Problem(str(target), f"cannot be written: {reason}; choose another place"))


def _full_disk(target: Path, temporary: Path) -> FoldwrightError:
    wrote = temporary.stat().st_size if temporary.exists() else 0
    folder = next(parent for parent in target.absolute().parents if parent.exists())
    free = shutil.disk_usage(folder).free
    return FoldwrightError(
        f"{target}: the disk is full: {free / 1e6:.1f} MB free (or the quota is used up) after "
        f"{wrote / 1e6:.1f} MB of this file; nothing half-written was kept. "
        "Free some space and run the same command again"
    )
