"""Chain stores: thousands to millions of chains in memory-mapped arrays.

Opening reads headers only, a chain costs microseconds, and resident memory stays bounded
however many chains have been read.
"""

import mmap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float32, Int, Shaped

from foldwright.data.store_format import (
    CHAIN_COLUMNS,
    REJECTS_NAME,
    RESIDUE_ARRAYS,
    SPLITS,
    StoreInfo,
    array_file,
    expected_arrays,
    read_info,
    read_layout,
)
from foldwright.data.store_writer import NewChain, StoreWriter
from foldwright.runtime.errors import InputError, Problem
from foldwright.runtime.files import sha256_file

__all__ = ["ChainStore", "NewChain", "StoreWriter", "StoredChain"]

# Pages of a map count as resident memory of the process once touched. They are given back (not
# lost: the file cache keeps them) when about this much has been touched.
_RELEASE_BYTES = 128 << 20
# One touch can map a neighbourhood of this size.
_FAULT_BYTES = 64 << 10


@dataclass(frozen=True, eq=False)
class StoredChain:
    """One chain of a store; the arrays are copies.

    Attributes:
        ca: positions in Å, never NaN.
        backbone: N, CA, C, O in Å; NaN is a missing atom.
        sequence: one letter per residue.
        residue_numbers: the author's numbers.
    """

    name: str
    ca: Float32[np.ndarray, "n 3"]
    backbone: Float32[np.ndarray, "n 4 3"]
    sequence: str
    residue_numbers: Int[np.ndarray, " n"]


class ChainStore:
    """A store opened for reading; make it with `ChainStore.open`.

    It can be pickled (a worker opens the files anew) and shared between threads.
    """

    def __init__(self, path: Path, info: StoreInfo) -> None:
        self.path = path
        self.info = info
        self._touched = 0
        self._maps: dict[str, mmap.mmap] = {}
        self._arrays: dict[str, np.ndarray] = {}

    @classmethod
    def open(cls, path: Path | str) -> "ChainStore":
        """Open a store; sizes and headers are checked, contents are not read.

        Raises:
            InputError: all that is wrong: no store, another version, missing or truncated files.
        """
        path = Path(path)
        store = cls(path, read_info(path))
        problems = store._size_problems()
        if problems:
            raise InputError(problems)
        for name, (dtype, shape) in expected_arrays(store.info).items():
            store._map_array(name, np.dtype(dtype), shape)
        return store

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return ChainStore.open, (self.path,)

    def __len__(self) -> int:
        return self.info.chains

    def __getitem__(self, index: int | np.integer) -> StoredChain:
        """Read one chain.

        Raises:
            IndexError: there is no such chain.
            InputError: its CA positions are not finite.
        """
        if not -len(self) <= index < len(self):
            raise IndexError(f"chain {index} of a store of {len(self)}")
        number = int(index) % len(self)
        start, end = self._arrays["offsets"][number : number + 2].tolist()
        ca = self._rows("ca", start, end)
        name = self.name(number)
        if not np.isfinite(ca).all():
            raise InputError(Problem(str(self.path), _not_finite(name)))
        return StoredChain(
            name=name,
            ca=ca,
            backbone=self._backbone(ca, start, end),
            sequence=self._rows("sequence", start, end).tobytes().decode("ascii"),
            residue_numbers=self._rows("residue_number", start, end),
        )

    def __iter__(self) -> Iterator[StoredChain]:
        return (self[number] for number in range(len(self)))

    @property
    def lengths(self) -> Int[np.ndarray, " chains"]:
        """Residues of each chain."""
        return self._arrays["length"]

    @property
    def cluster_index(self) -> Int[np.ndarray, " chains"]:
        """Cluster of each chain, numbered from 0."""
        return self._arrays["cluster_index"]

    @cached_property
    def names(self) -> Sequence[str]:
        """Names of all chains."""
        return tuple(self.name(number) for number in range(len(self)))

    def name(self, index: int) -> str:
        """Return the name of one chain."""
        start, end = self._arrays["name_offsets"][index : index + 2].tolist()
        return self._arrays["name_bytes"][start:end].tobytes().decode()

    def split(self, name: str) -> Int[np.ndarray, " members"]:
        """Return the rising indices of the chains of a split: train, val or test.

        Raises:
            InputError: there is no split of that name.
        """
        if name not in SPLITS:
            raise InputError(f"there is no split {name!r}: a store has {', '.join(SPLITS)}")
        return np.flatnonzero(self._arrays["split"] == SPLITS.index(name))

    def column(self, name: str) -> Shaped[np.ndarray, " chains"]:
        """Return one number per chain: resolution (Å, NaN unknown), helix, strand, coil, rg (Å).

        Raises:
            InputError: there is no such column.
        """
        if name not in CHAIN_COLUMNS:
            raise InputError(
                f"there is no column {name!r}: it is one of {', '.join(CHAIN_COLUMNS)}"
            )
        return self._arrays[name]

    @property
    def rejects_path(self) -> Path:
        """The table of files and chains that were left out."""
        return self.path / REJECTS_NAME

    def verify(self) -> None:
        """Read everything: compare checksums and counts, look for NaN in CA and wrong offsets.

        Raises:
            InputError: all that is wrong.
        """
        problems = self._size_problems()
        for name, facts in self.info.files.items():
            found = sha256_file(self.path / name)
            if found != facts.sha256:
                message = f"SHA-256 is {found}, expected {facts.sha256}; prepare the store again"
                problems.append(Problem(str(self.path / name), message))
        offsets = self._arrays["offsets"]
        if offsets[0] != 0 or not np.array_equal(np.diff(offsets), self.lengths):
            message = "offsets do not fit the lengths of the chains; prepare the store again"
            problems.append(Problem(str(self.path), message))
        else:
            problems += self._nan_problems()
        splits = {name: len(self.split(name)) for name in SPLITS}
        if splits != self.info.splits:
            message = f"the splits have {splits} chains, expected {self.info.splits}"
            problems.append(Problem(str(self.path), message))
        if problems:
            raise InputError(problems)

    def _nan_problems(self) -> list[Problem]:
        ends = self._arrays["offsets"].tolist()
        return [
            Problem(str(self.path), _not_finite(self.name(number)))
            for number in range(len(self))
            if not np.isfinite(self._rows("ca", ends[number], ends[number + 1])).all()
        ]

    def _backbone(
        self, ca: Float32[np.ndarray, "n 3"], start: int, end: int
    ) -> Float[np.ndarray, "n 4 3"]:
        if "backbone" in self._arrays:
            return self._rows("backbone", start, end)
        backbone = np.full((len(ca), 4, 3), np.nan, dtype=np.float32)
        backbone[:, 1] = ca
        return backbone

    def _rows(self, name: str, start: int, end: int) -> np.ndarray:
        rows = self._arrays[name][start:end].copy()
        self._touched += rows.nbytes + _FAULT_BYTES
        if self._touched > _RELEASE_BYTES:
            self._release()
        return rows

    def _release(self) -> None:
        self._touched = 0
        if hasattr(mmap, "MADV_DONTNEED"):  # not on Windows, which trims by itself
            for name in RESIDUE_ARRAYS:
                if name in self._maps:
                    self._maps[name].madvise(mmap.MADV_DONTNEED)

    def _size_problems(self) -> list[Problem]:
        problems = []
        for name, facts in self.info.files.items():
            path = self.path / name
            found = path.stat().st_size if path.is_file() else None
            if found != facts.bytes:
                was = "is missing" if found is None else f"has {found} bytes"
                message = f"{was}, expected {facts.bytes} bytes; copy or prepare the store again"
                problems.append(Problem(str(path), message))
        return problems

    def _map_array(self, name: str, dtype: np.dtype, shape: tuple[int, ...] | None) -> None:
        path = self.path / array_file(name)
        with path.open("rb") as file:
            layout = read_layout(file, str(path))
            self._maps[name] = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        if layout.dtype != dtype or (shape is not None and layout.shape != shape):
            message = (
                f"holds {layout.dtype} {layout.shape}, expected {dtype} {shape}; prepare the "
                "store again"
            )
            raise InputError(Problem(str(path), message))
        flat = np.frombuffer(self._maps[name], dtype=dtype, offset=layout.offset)
        self._arrays[name] = flat.reshape(layout.shape)


def _not_finite(name: str) -> str:
    return f"CA positions of {name!r} are not finite; check the store with `data inspect --verify`"
