"""Parameter record files: named arrays one after another, plain or compressed with zstd.

A record is five little-endian 32-bit integers (byte lengths of scope, name and dtype, number of
dimensions, byte length of the data), then those parts, the dimensions as 32-bit integers.
"""

import struct
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor

from foldwright.runtime.errors import FoldwrightError, InputError, Problem

_HEADER = struct.Struct("<5i")
_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "uint8": torch.uint8}
_LONGEST_NAME = 4096
_MOST_DIMENSIONS = 16
_LARGEST_RECORD = 1 << 34
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
IDENTIFIER = "__meta__:__identifier__"
"""Record that says which parameters these are: ASCII text as bytes."""


@dataclass(frozen=True)
class Record:
    """One named array."""

    name: str
    values: Tensor


def read_records(path: Path) -> dict[str, Tensor]:
    """Read all records of a file, of its shards, or of the one parameter set in a folder.

    Args:
        path: `NAME.bin`, `NAME.bin.zst`, or a folder that holds one of them or its shards
            `NAME.<n>.bin`, `NAME.<n>.bin.zst`, `NAME.bin.zst.<n>`.

    Raises:
        InputError: nothing to read there, several parameter sets, or the extra is not installed.
        FoldwrightError: the file ends inside a record, or a record makes no sense; names it.
    """
    files = parameter_files(path)
    records: dict[str, Tensor] = {}
    with _open(files) as stream:
        for record in _records(stream, files[0]):
            if record.name in records:
                raise FoldwrightError(f"{files[0]}: record {record.name} is there twice")
            records[record.name] = record.values
    if not records:
        raise FoldwrightError(f"{files[0]}: holds no record; fetch the file again")
    return records


def parameter_files(path: Path) -> list[Path]:
    """Return the files that together make the parameter set at `path`, in reading order.

    Raises:
        InputError: there is none, or there are several sets.
    """
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise InputError(Problem(str(path), "does not exist; give a file or its folder"))
    for pattern, cut in _PATTERNS:
        found = sorted(path.glob(pattern))
        names = {file.name.split(".")[0] for file in found if _numbered(file.name, cut)}
        if len(names) > 1:
            listed = ", ".join(sorted(names))
            raise InputError(Problem(str(path), f"holds several sets: {listed}; name one file"))
        if names:
            return [file for file in found if _numbered(file.name, cut)]
    raise InputError(Problem(str(path), "holds no parameters; expected NAME.bin or NAME.bin.zst"))


_PATTERNS: Sequence[tuple[str, int | None]] = (
    ("*.*.bin.zst", 1),
    ("*.bin.zst.*", -1),
    ("*.*.bin", 1),
    ("*.bin.zst", None),
    ("*.bin", None),
)


def _numbered(name: str, place: int | None) -> bool:
    parts = name.split(".")
    return place is None or parts[place].isdigit()


@contextmanager
def _open(files: Sequence[Path]) -> Iterator[IO[bytes] | Any]:
    """Open shards as one stream, decompressed if the first one begins like zstd."""
    with ExitStack() as stack:
        joined: Any = _Joined([stack.enter_context(file.open("rb")) for file in files])
        compressed = joined.peek(4) == _ZSTD_MAGIC
        if not compressed:
            yield joined
            return
        try:
            import zstandard
        except ImportError as error:
            raise InputError(
                Problem(str(files[0]), "is compressed: install it with `foldwright[msa]`")
            ) from error
        try:
            yield zstandard.ZstdDecompressor().stream_reader(joined, read_across_frames=True)
        except zstandard.ZstdError as error:
            raise FoldwrightError(
                f"{files[0]}: the compressed data are damaged ({error}); fetch the file again"
            ) from error


class _Joined:
    """Several open files read as one."""

    def __init__(self, files: list[IO[bytes]]) -> None:
        self.files = files

    def peek(self, count: int) -> bytes:
        head = self.files[0].read(count)
        self.files[0].seek(0)
        return head

    def read(self, size: int = -1) -> bytes:
        while self.files:
            part = self.files[0].read(size)
            if part:
                return part
            self.files.pop(0)
        return b""


def _records(stream: Any, source: Path) -> Iterator[Record]:
    last = "the beginning"
    while header := _read(stream, _HEADER.size):
        if len(header) < _HEADER.size:
            raise FoldwrightError(f"{source}: ends inside the record after {last}")
        record = _record(stream, _HEADER.unpack(header), f"{source}: the record after {last}")
        last = record.name
        yield record


def _record(stream: Any, header: tuple[int, ...], place: str) -> Record:
    scope_bytes, name_bytes, dtype_bytes, dimensions, data_bytes = header
    texts = (scope_bytes, name_bytes, dtype_bytes)
    plausible = all(0 < length <= _LONGEST_NAME for length in texts)
    plausible &= 0 <= dimensions <= _MOST_DIMENSIONS and 0 <= data_bytes < _LARGEST_RECORD
    if not plausible:
        raise FoldwrightError(f"{place} has an impossible header {header}; is it such a file?")
    head = _whole(stream, sum(texts) + 4 * dimensions, place)
    try:
        scope = head[:scope_bytes].decode()
        name = f"{scope}:{head[scope_bytes:][:name_bytes].decode()}"
        dtype_name = head[scope_bytes + name_bytes :][:dtype_bytes].decode()
    except UnicodeDecodeError as error:
        raise FoldwrightError(f"{place} has a name that is not text; is it damaged?") from error
    shape = struct.unpack(f"<{dimensions}i", head[sum(texts) :])
    if dtype_name not in _DTYPES:
        raise FoldwrightError(f"{place}, {name}, has dtype {dtype_name}; known: {list(_DTYPES)}")
    dtype = _DTYPES[dtype_name]
    count = 1
    for size in shape:
        count *= size
    if min(shape, default=0) < 0 or count * dtype.itemsize != data_bytes:
        raise FoldwrightError(f"{place}, {name}: {data_bytes} bytes for {dtype_name} {shape}")
    data = _whole(stream, data_bytes, f"{place}, {name},")
    values = torch.frombuffer(bytearray(data), dtype=dtype) if data else torch.empty(0, dtype=dtype)
    return Record(name, values.reshape(shape))


def _whole(stream: Any, size: int, place: str) -> bytes:
    data = _read(stream, size)
    if len(data) < size:
        raise FoldwrightError(f"{place} is cut off: {len(data)} of {size} bytes")
    return data


def _read(stream: Any, size: int) -> bytes:
    """Read `size` bytes, fewer only at the end."""
    parts, missing = [], size
    while missing > 0 and (part := stream.read(missing)):
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)
