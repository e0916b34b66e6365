"""Write a chain store: into a temporary folder that is renamed when it is complete."""

import errno
import os
import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import NoReturn

import numpy as np
from jaxtyping import Float, Int

from foldwright import __version__
from foldwright.data.chain_shape import ChainShape
from foldwright.data.store_format import (
    CHAIN_COLUMNS,
    FORMAT,
    INDEX_NAME,
    INFO_NAME,
    REJECT_COLUMNS,
    REJECTS_NAME,
    RESIDUE_ARRAYS,
    SHAPE_COLUMNS,
    SPLITS,
    VERSION,
    CsvTable,
    FileFacts,
    NpyStream,
    StoreInfo,
    array_file,
)
from foldwright.runtime.errors import FoldwrightError, InputError, Problem
from foldwright.runtime.files import sha256_file
from foldwright.runtime.partials import abandoned_partials, partial_name, remove_partials

_INDEX_COLUMNS = (
    *("index", "name", "length", "split", "cluster", "resolution"),
    *SHAPE_COLUMNS,
    "origin",
)


@dataclass(frozen=True, eq=False)
class NewChain:
    """A chain on its way into a store.

    Attributes:
        name: unique in the store.
        backbone: N, CA, C, O in Å; NaN is a missing atom, but CA is never missing.
        sequence: one letter per residue.
        residue_numbers: the author's numbers.
        split: one of `SPLITS`.
        cluster: name of its cluster; chains of one cluster belong in one split.
        shape: secondary structure and size, from `measure_shape`.
        resolution: in Å, None where unknown.
        origin: the file it comes from, for people.
    """

    name: str
    backbone: Float[np.ndarray, "n 4 3"]
    sequence: str
    residue_numbers: Int[np.ndarray, " n"]
    split: str
    cluster: str
    shape: ChainShape
    resolution: float | None = None
    origin: str = ""

    def __post_init__(self) -> None:
        length = len(self.backbone)
        ca = self.backbone[:, 1]
        missing = np.flatnonzero(~np.isfinite(ca).all(axis=-1))
        checks = [
            (length > 0, "no residues"),
            (not len(missing), f"CA of {len(missing)} residues is NaN, first at {missing[:1]}"),
            (
                len(self.sequence) == len(self.residue_numbers) == length,
                f"{len(self.sequence)} letters and {len(self.residue_numbers)} residue numbers "
                f"for {length} residues",
            ),
            (self.sequence.isascii(), f"the sequence {self.sequence!r} is not ASCII"),
            (self.split in SPLITS, f"the split {self.split!r} is not one of {', '.join(SPLITS)}"),
            (self.name != "" and self.cluster != "", "chain and cluster need a name"),
        ]
        problems = [Problem(f"chain {self.name!r}", text) for holds, text in checks if not holds]
        if problems:
            raise InputError(problems)


class StoreWriter:
    """Writes a store chain by chain, used as a context manager.

    Nothing stands under the final name before the block ends; an error in the block leaves what
    was there. A store of that name is replaced, anything else is not. Memory grows by a few dozen
    bytes per chain.

    Attributes:
        names: names of the chains added so far.
        split_counts: chains of each split.
        reject_counts: rejects by rule.

    Args:
        path: folder to make.
        source: where the chains come from, in words.

    Raises:
        InputError: `path` is something else than a store, no chain was added (with the rejects
            by rule), or two chains have one name.
        FoldwrightError: the disk is full or cannot be written.
    """

    def __init__(self, path: Path | str, *, source: str) -> None:
        self.path = Path(path).absolute()  # "." has no name to derive others from
        self._source = source
        _check_target(self.path)
        self._folder = self.path.with_name(partial_name(self.path.name))
        self._arrays: dict[str, NpyStream] = {}
        self._clusters: dict[str, int] = {}
        self._tables: dict[str, CsvTable] = {}
        self._first_rejects: dict[str, str] = {}
        self._any_backbone = False
        self.names: set[str] = set()
        self.split_counts = dict.fromkeys(SPLITS, 0)
        self.reject_counts: Counter[str] = Counter()

    def __enter__(self) -> "StoreWriter":
        specs = dict(RESIDUE_ARRAYS)
        specs |= {name: (dtype, ()) for name, dtype in CHAIN_COLUMNS.items()}
        specs |= {"offsets": ("<i8", ()), "name_offsets": ("<i8", ()), "name_bytes": ("|u1", ())}
        _tidy_up(self.path)
        try:
            self._folder.mkdir(parents=True)
            for name, (dtype, row) in specs.items():
                self._arrays[name] = NpyStream(self._folder / array_file(name), dtype, row)
            self._tables["index"] = CsvTable(self._folder / INDEX_NAME, _INDEX_COLUMNS)
            self._tables["rejects"] = CsvTable(self._folder / REJECTS_NAME, REJECT_COLUMNS)
            self._append_ends()
        except OSError as error:
            self._abandon(error)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self._finish()
        except OSError as failure:
            self._abandon(failure)
        finally:
            self._discard()

    def add(self, chain: NewChain) -> None:
        """Append one chain."""
        if chain.name in self.names:
            raise InputError(Problem(f"chain {chain.name!r}", "is in the store already"))
        try:
            self._append_residues(chain)
            self._append_columns(chain)
        except OSError as error:
            self._abandon(error)

    def reject(self, file: str, chain: str, rule: str, reason: str) -> None:
        """Note a file (with an empty `chain`) or a chain that is left out, and why."""
        self.reject_counts[rule] += 1
        self._first_rejects.setdefault(rule, f"{file} {chain}".strip() + f": {reason}")
        try:
            self._tables["rejects"].append((file, chain, rule, reason))
        except OSError as error:
            self._abandon(error)

    @property
    def num_chains(self) -> int:
        """Chains added so far."""
        return len(self.names)

    @property
    def num_residues(self) -> int:
        """Residues added so far."""
        return self._arrays["ca"].num_rows

    def _append_residues(self, chain: NewChain) -> None:
        others = np.delete(chain.backbone, 1, axis=1)
        self._any_backbone |= bool(np.isfinite(others).all(axis=-1).any())
        self._arrays["ca"].append(chain.backbone[:, 1])
        self._arrays["backbone"].append(chain.backbone)
        self._arrays["sequence"].append(_bytes_of(chain.sequence))
        self._arrays["residue_number"].append(chain.residue_numbers)
        self._arrays["name_bytes"].append(_bytes_of(chain.name))

    def _append_columns(self, chain: NewChain) -> None:
        number = len(self.names)
        self.names.add(chain.name)
        self.split_counts[chain.split] += 1
        cluster_index = self._clusters.setdefault(chain.cluster, len(self._clusters))
        resolution = np.nan if chain.resolution is None else chain.resolution
        shape = {name: getattr(chain.shape, name) for name in SHAPE_COLUMNS}
        values = {
            "length": len(chain.backbone),
            "split": SPLITS.index(chain.split),
            "cluster_index": cluster_index,
            "resolution": resolution,
        }
        for name, value in (values | shape).items():
            self._arrays[name].append(np.array([value]))
        self._append_ends()
        shown = "" if chain.resolution is None else f"{chain.resolution:g}"
        about = (number, chain.name, len(chain.backbone), chain.split, chain.cluster, shown)
        rounded = (f"{value:.4g}" for value in shape.values())
        self._tables["index"].append((*about, *rounded, chain.origin))

    def _append_ends(self) -> None:
        self._arrays["offsets"].append(np.array([self._arrays["ca"].num_rows]))
        self._arrays["name_offsets"].append(np.array([self._arrays["name_bytes"].num_rows]))

    def _finish(self) -> None:
        if not self.names:
            raise self._nothing_to_store()
        for stream in self._arrays.values():
            stream.finish()
        for table in self._tables.values():
            table.close()
        if not self._any_backbone:
            (self._folder / array_file("backbone")).unlink()
        info = self._describe()
        text = info.model_dump_json(indent=1) + "\n"
        (self._folder / INFO_NAME).write_text(text, encoding="utf-8")
        for path in self._folder.iterdir():
            _flush(path)
        _flush(self._folder)
        _rename_folder(self._folder, self.path)

    def _describe(self) -> StoreInfo:
        files = {
            path.name: FileFacts(bytes=path.stat().st_size, sha256=sha256_file(path))
            for path in sorted(self._folder.iterdir())
        }
        return StoreInfo(
            format=FORMAT,
            version=VERSION,
            created_by=f"foldwright {__version__}",
            source=self._source,
            chains=self.num_chains,
            residues=self.num_residues,
            clusters=len(self._clusters),
            splits=self.split_counts,
            files=files,
        )

    def _nothing_to_store(self) -> InputError:
        problems = [Problem(str(self.path), "no chain was accepted, so no store was written")]
        for rule, count in self.reject_counts.most_common():
            first = self._first_rejects[rule]
            problems.append(Problem(rule, f"rejected {count} times, first {first}"))
        return InputError(problems)

    def _abandon(self, error: OSError) -> NoReturn:
        self._discard()
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        reason = "the disk is full" if full else error.strerror or str(error)
        raise FoldwrightError(
            f"{self.path}: the store cannot be written: {reason}; nothing half-written was kept. "
            "Make room or choose another place and run the same command again"
        ) from error

    def _discard(self) -> None:
        files: list[NpyStream | CsvTable] = [*self._arrays.values(), *self._tables.values()]
        for file in files:
            try:
                file.close()
            except OSError:  # what is still in a buffer does not fit on the disk either
                continue
        shutil.rmtree(self._folder, ignore_errors=True)


def _bytes_of(text: str) -> np.ndarray:
    return np.frombuffer(text.encode(), dtype=np.uint8)


def _check_target(path: Path) -> None:
    if not path.exists() or (path / INFO_NAME).is_file():
        return
    if not path.is_dir() or any(path.iterdir()):
        message = "is not a store and will not be overwritten; choose another name"
        raise InputError(Problem(str(path), message))


def _tidy_up(target: Path) -> None:
    """Remove what killed processes left of this store, and bring back a store they had moved."""
    aside = f"{target.name}-old"
    for old in abandoned_partials(target.parent, aside):
        if not target.exists() and (old / INFO_NAME).is_file():
            old.rename(target)
    remove_partials(target.parent, aside)
    remove_partials(target.parent, target.name)


def _rename_folder(complete: Path, target: Path) -> None:
    """Put a folder in the place of another; a kill in between leaves both under dot names."""
    old = complete.with_name(f"{complete.name}-old")
    if target.exists():
        target.rename(old)
    try:
        complete.rename(target)
    except OSError:
        if old.exists():
            old.rename(target)
        raise
    _flush(target.parent)
    shutil.rmtree(old, ignore_errors=True)


def _flush(path: Path) -> None:
    if path.is_dir() and os.name != "posix":  # elsewhere a folder cannot be opened
        return
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
