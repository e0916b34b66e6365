"""Download many structure files at once, in a folder that can be continued at any time."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path

from foldwright.data.download import (
    Downloader,
    DownloadError,
    DownloadPolicy,
    check_structure_file,
)
from foldwright.data.fetch_ids import FetchTarget
from foldwright.data.fetch_manifest import (
    FetchRecord,
    FetchStatus,
    append_to_manifest,
    read_manifest,
    write_manifest,
)
from foldwright.runtime.errors import InputError
from foldwright.runtime.files import sha256_file
from foldwright.runtime.partials import remove_partials
from foldwright.runtime.progress import ProgressFactory, silent


def fetch_structures(
    targets: Sequence[FetchTarget],
    out: Path,
    *,
    workers: int = 4,
    policy: DownloadPolicy | None = None,
    checksums: Mapping[str, str] | None = None,
    progress: ProgressFactory = silent,
) -> list[FetchRecord]:
    """Download all targets into `out` and keep `out/manifest.csv`; records in the targets' order.

    Files that are there and prove whole are kept. An interrupted call (Ctrl-C, a kill, a power
    cut) leaves whole files, parts and a manifest from which the same call goes on. `checksums`
    maps file names to SHA-256 sums.

    Raises:
        InputError: nothing to fetch, checksums for other files only, a folder in use by another
            fetch, or a file that cannot be written (full disk, no permission).
    """
    expected = dict(checksums or {})
    _check_request(targets, workers, expected)
    downloader = Downloader(policy or DownloadPolicy())
    with _writing(out), _sole_use(out):
        remove_partials(out)
        earlier = read_manifest(out)
        write_manifest(out, earlier.values())

        def bring(target: FetchTarget) -> FetchRecord:
            known_sum = expected.get(target.file)
            return _bring(target, out, downloader, known_sum, earlier.get(target.file))

        records = _run(bring, targets, out, downloader, workers, progress)
        write_manifest(out, (earlier | records).values())
    return [records[target.file] for target in targets]


def _check_request(
    targets: Sequence[FetchTarget], workers: int, checksums: Mapping[str, str]
) -> None:
    if not targets:
        raise InputError("nothing to fetch: give ids, an id list or a domain list.")
    if workers < 1:
        raise InputError(f"workers: got {workers}; expected 1 or more.")
    if checksums and not any(target.file in checksums for target in targets):
        raise InputError(
            f"none of the {len(checksums)} checksums is for a file of this fetch; expected names "
            f"such as {targets[0].file}."
        )


@contextmanager
def _writing(out: Path) -> Iterator[None]:
    """Turn a disk that does not take the files into one clear error."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise InputError(
            f"{out}: {error.strerror or error}; what is complete stays. Make room or "
            "choose another folder and run the same command again."
        ) from error


@contextmanager
def _sole_use(out: Path) -> Iterator[None]:
    """Two fetches would write the same parts; the lock ends with the process, however it ends."""
    if sys.platform == "win32":
        yield
        return
    import fcntl

    with (out / ".fetch.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(
                f"{out}: another fetch is writing here; wait for it or choose another folder."
            ) from error
        yield


def _run(
    bring: Callable[[FetchTarget], FetchRecord],
    targets: Sequence[FetchTarget],
    out: Path,
    downloader: Downloader,
    workers: int,
    progress: ProgressFactory,
) -> dict[str, FetchRecord]:
    """Work through the targets and note each result at once."""
    records: dict[str, FetchRecord] = {}
    num_failed = 0
    with progress("fetch", len(targets)) as bar, ThreadPoolExecutor(workers) as pool:
        try:
            for done in as_completed([pool.submit(bring, target) for target in targets]):
                record = done.result()
                records[record.file] = record
                append_to_manifest(out, record)
                num_failed += record.status == "failed"
                bar.advance(1, failed=str(num_failed))
        finally:
            # Reached early by Ctrl-C or a full disk: the other threads end at their next chunk.
            downloader.stop()
            pool.shutdown(cancel_futures=True)
    return records


def _bring(
    target: FetchTarget,
    out: Path,
    downloader: Downloader,
    expected: str | None,
    earlier: FetchRecord | None,
) -> FetchRecord:
    path = out / target.file
    there = path.is_file()
    known_sum = _sum_if_whole(path, expected, earlier) if there else None
    if known_sum is not None:
        return _complete(target, path, known_sum, "present")
    try:
        downloader.download(target.url, path, expected)
    except DownloadError as error:
        leftover = "; the file there under this name is not proven whole" if there else ""
        return FetchRecord(target.id, target.file, 0, "", "failed", f"{error}{leftover}")
    return _complete(target, path, sha256_file(path), "fetched")


def _complete(target: FetchTarget, path: Path, known_sum: str, status: FetchStatus) -> FetchRecord:
    return FetchRecord(target.id, target.file, path.stat().st_size, known_sum, status)


def _sum_if_whole(path: Path, expected: str | None, earlier: FetchRecord | None) -> str | None:
    """SHA-256 of a file found under its final name if it can be kept.

    The given sum decides, else the one in the manifest. Without either a gzipped file has its own
    check; a plain one proves nothing and is fetched again.
    """
    found = sha256_file(path)
    known = expected or (earlier.sha256 if earlier is not None else "")
    if known:
        return found if found == known else None
    if path.suffix == ".gz" and check_structure_file(path) is None:
        return found
    return None
