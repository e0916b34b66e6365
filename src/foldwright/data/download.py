"""Download one file over HTTP so that it is whole under its name, or not there.

Bytes arrive in a hidden `.NAME.part` file beside the goal, with a note that says which version of
the remote file they belong to. Only after size and content are checked does the part get its name.
"""

import email.utils
import gzip
import http.client
import json
import random
import re
import ssl
import threading
import time
import urllib.error
import urllib.request
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path

from foldwright.runtime.errors import FoldwrightError, InputError
from foldwright.runtime.files import atomic_path, sha256_file

_CHUNK = 1 << 16
_LEAST_BYTES_PER_TIMEOUT = 1024
_RETRIED_CODES = frozenset({408, 425, 429, 500, 502, 503, 504})
_FIRST_BYTES = {
    ".cif": (re.compile(rb"(?:\s|#[^\n]*\n)*data_", re.IGNORECASE), "mmCIF"),
    ".bcif": (re.compile(rb"[\x80-\x8f\xde\xdf]"), "BinaryCIF"),
    ".pdb": (re.compile(rb"[A-Z][A-Z0-9 ]{5}"), "PDB"),
}


class DownloadError(FoldwrightError):
    """The file could not be had; the text is the reason, for one line of a report."""


class DownloadStoppedError(FoldwrightError):
    """Someone asked the download to stop; what has arrived is kept for the next run."""


class _TryAgainError(FoldwrightError):
    """This attempt failed, another may not; `wait` in seconds if the server named a pause."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


@dataclass(frozen=True)
class DownloadPolicy:
    """How patient a download is; all times in seconds.

    `timeout` is for connecting and for each wait for data. The pause after failure k lasts
    between half and all of `backoff * 2**k`, at most `longest_wait`; a server that asks for a
    longer pause than that ends the download.
    """

    attempts: int = 5
    timeout: float = 30.0
    backoff: float = 1.0
    longest_wait: float = 120.0

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise InputError(f"attempts: got {self.attempts}; expected 1 or more.")
        if self.timeout <= 0:
            raise InputError(f"timeout: got {self.timeout:g}; expected more than 0 seconds.")
        for name in ("backoff", "longest_wait"):
            if getattr(self, name) < 0:
                raise InputError(
                    f"{name}: got {getattr(self, name):g}; expected 0 or more seconds."
                )


@dataclass(frozen=True)
class _PartNote:
    """What the bytes of a part file belong to."""

    url: str
    validator: str
    total: int | None


class Downloader:
    """Downloads files with shared patience: a pause that one answer asks for holds all threads."""

    def __init__(self, policy: DownloadPolicy) -> None:
        self.policy = policy
        self._stop = threading.Event()
        self._quiet_until = 0.0
        self._lock = threading.Lock()

    def stop(self) -> None:
        """Make running and later downloads raise `DownloadStoppedError` at their next step."""
        self._stop.set()

    def download(self, url: str, path: Path, sha256: str | None = None) -> None:
        """Bring `url` to `path`, resuming an earlier part where that is safe.

        Raises:
            DownloadError: the server has no such file, or all attempts failed.
            DownloadStoppedError: `stop` was called.
            OSError: the file cannot be written.
        """
        part = part_path(path)
        if path.suffix != ".gz" and sha256 is None:
            # Nothing could reveal a hole that a power cut left in a part without checksums.
            _drop(part)
        reasons: list[str] = []
        for attempt in range(self.policy.attempts):
            self._wait()
            try:
                self._attempt(url, part)
                _check_content(part, path.name, sha256)
            except _TryAgainError as error:
                reasons.append(str(error))
                self._plan_pause(attempt, error.wait)
                continue
            _publish(part, path)
            return
        raise DownloadError(f"{reasons[-1]} (gave up after {len(reasons)} attempts)")

    def _wait(self) -> None:
        """Sleep until no pause is pending."""
        while not self._stop.is_set():
            with self._lock:
                left = self._quiet_until - time.monotonic()
            if left <= 0:
                return
            self._stop.wait(left)
        raise DownloadStoppedError("the download was stopped")

    def _plan_pause(self, attempt: int, asked: float | None) -> None:
        """Hold everyone where the server asked for it, else only this thread."""
        if asked is None:
            longest = min(self.policy.backoff * 2**attempt, self.policy.longest_wait)
            if attempt + 1 < self.policy.attempts:
                self._stop.wait(random.uniform(0.5, 1.0) * longest)
            return
        if asked > self.policy.longest_wait:
            raise DownloadError(f"the server asks for a pause of {asked:.0f} s; run again later")
        with self._lock:
            self._quiet_until = max(self._quiet_until, time.monotonic() + asked)

    def _attempt(self, url: str, part: Path) -> None:
        """Ask once and append the answer to the part; returns when all bytes are there."""
        note = _read_note(part, url)
        offset = part.stat().st_size if note is not None else 0
        request = urllib.request.Request(url, headers=_headers(note, offset))
        with self._open(request, part) as response:
            if response.status == http.HTTPStatus.PARTIAL_CONTENT:
                total = _resumed_total(response, offset, note, part)
            else:
                offset, total = 0, _stated_length(response)
                _drop(part)
            if total is None and not response.chunked and not part.name.endswith(".gz.part"):
                raise DownloadError("the server states no size, so a cut would go unseen")
            validator = _validator(response) or (note.validator if offset and note else "")
            _write_note(part, _PartNote(url, validator, total))
            self._receive(response, part)
        size = part.stat().st_size
        if total is not None and size != total:
            raise _TryAgainError(f"the connection ended after {size} of {total} bytes")

    def _open(self, request: urllib.request.Request, part: Path) -> http.client.HTTPResponse:
        """Connect; sort failures into final ones and ones worth another attempt."""
        try:
            return urllib.request.urlopen(request, timeout=self.policy.timeout)
        except urllib.error.HTTPError as error:
            with error:
                raise _judge_status(error, part) from error
        except urllib.error.URLError as error:
            if isinstance(error.reason, ssl.SSLCertVerificationError):
                raise DownloadError(
                    f"the server's certificate is not trusted: {error.reason}"
                ) from error
            raise _TryAgainError(f"cannot connect: {error.reason}") from error
        except (OSError, http.client.HTTPException) as error:
            raise _TryAgainError(f"no answer: {type(error).__name__} {error}") from error

    def _receive(self, response: http.client.HTTPResponse, part: Path) -> None:
        """Append what arrives; a connection that all but stands still is given up."""
        window_start, window_bytes = time.monotonic(), 0
        with part.open("ab") as file:
            while chunk := self._read(response):
                file.write(chunk)
                window_bytes += len(chunk)
                if time.monotonic() - window_start < self.policy.timeout:
                    continue
                if window_bytes < _LEAST_BYTES_PER_TIMEOUT:
                    raise _TryAgainError(
                        f"only {window_bytes} bytes came in {self.policy.timeout:g} s"
                    )
                window_start, window_bytes = time.monotonic(), 0

    def _read(self, response: http.client.HTTPResponse) -> bytes:
        if self._stop.is_set():
            raise DownloadStoppedError("the download was stopped")
        try:
            return response.read1(_CHUNK)
        except (OSError, http.client.HTTPException) as error:
            raise _TryAgainError(f"the connection broke: {type(error).__name__} {error}") from error


def part_path(path: Path) -> Path:
    """Where the bytes of `path` gather until they are complete."""
    return path.with_name(f".{path.name}.part")


def check_structure_file(path: Path) -> str | None:
    """Say what is wrong with a structure file, or None: gzip sums and the first bytes."""
    return _content_problem(path, path.name)


def _headers(note: _PartNote | None, offset: int) -> dict[str, str]:
    # "identity": a transport encoding would make sizes and ranges meaningless.
    headers = {"User-Agent": "foldwright", "Accept-Encoding": "identity"}
    if note is not None and offset > 0:
        headers |= {"Range": f"bytes={offset}-", "If-Range": note.validator}
    return headers


def _judge_status(error: urllib.error.HTTPError, part: Path) -> FoldwrightError:
    if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        _drop(part)
        return _TryAgainError("the server refused to continue the part of an earlier attempt")
    reason = f"HTTP {error.code} {error.reason}".rstrip()
    if error.code not in _RETRIED_CODES:
        return DownloadError(reason)
    return _TryAgainError(reason, _retry_after(error.headers.get("Retry-After")))


def _retry_after(value: str | None) -> float | None:
    """Seconds from a Retry-After header, which holds seconds or a date."""
    if value is None:
        return None
    if value.strip().isdigit():
        return float(value)
    try:
        moment = email.utils.parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, moment.timestamp() - time.time())


def _stated_length(response: http.client.HTTPResponse) -> int | None:
    value = response.headers.get("Content-Length", "")
    return int(value) if value.isdigit() else None


def _resumed_total(
    response: http.client.HTTPResponse, offset: int, note: _PartNote | None, part: Path
) -> int | None:
    """Total size that a 206 answer states, after checking that it continues this very part."""
    stated = response.headers.get("Content-Range", "")
    match = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", stated.strip())
    if match is None or int(match[1]) != offset:
        _drop(part)
        raise _TryAgainError(f"asked to continue at byte {offset}, the server sent {stated!r}")
    if note is not None and _validator(response) not in ("", note.validator):
        _drop(part)
        raise _TryAgainError("the remote file changed since its first part was downloaded")
    return None if match[2] == "*" else int(match[2])


def _validator(response: http.client.HTTPResponse) -> str:
    """What If-Range can name: a strong ETag, else the date of change, else nothing."""
    tag = response.headers.get("ETag", "")
    return tag if tag.startswith('"') else response.headers.get("Last-Modified", "")


def _note_path(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _write_note(part: Path, note: _PartNote) -> None:
    # A torn note is no JSON, and a part without a readable note is dropped: no need for a rename.
    _note_path(part).write_text(json.dumps(asdict(note)), encoding="utf-8")


def _read_note(part: Path, url: str) -> _PartNote | None:
    """The note of a part that can be continued from `url`; any other part is dropped."""
    try:
        fields = json.loads(_note_path(part).read_text(encoding="utf-8"))
        total = None if fields["total"] is None else int(fields["total"])
        note = _PartNote(str(fields["url"]), str(fields["validator"]), total)
        size = part.stat().st_size
    except (OSError, ValueError, KeyError, TypeError):
        _drop(part)
        return None
    if note.url != url or not note.validator or size == 0 or size >= (note.total or size + 1):
        _drop(part)
        return None
    return note


def _drop(part: Path) -> None:
    part.unlink(missing_ok=True)
    _note_path(part).unlink(missing_ok=True)


def _check_content(part: Path, name: str, sha256: str | None) -> None:
    """Compare the finished part with what it should be; a wrong one is dropped."""
    problem = _content_problem(part, name)
    if problem is None and sha256 is not None:
        found = sha256_file(part)
        problem = None if found == sha256 else f"SHA-256 is {found}, expected {sha256}"
    if problem is not None:
        _drop(part)
        raise _TryAgainError(problem)


def _content_problem(path: Path, name: str) -> str | None:
    suffix = Path(name.removesuffix(".gz")).suffix
    pattern, label = _FIRST_BYTES[suffix]
    opener = gzip.open if name.endswith(".gz") else open
    try:
        with opener(path, "rb") as file:
            first = file.read(_CHUNK)
            while file.read(_CHUNK * 16):
                pass
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        return f"damaged gzip data: {error}"
    if pattern.match(first) is None:
        return f"this is no {label} file; it begins with {first[:20]!r}"
    return None


def _publish(part: Path, path: Path) -> None:
    with atomic_path(path) as temporary:
        part.replace(temporary)
    _note_path(part).unlink(missing_ok=True)
