"""What is in a store, in numbers."""

import csv
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from foldwright.data.chain_shape import expected_rg
from foldwright.data.store import ChainStore
from foldwright.data.store_format import SPLITS
from foldwright.runtime.errors import InputError, Problem

_LENGTH_EDGES = (1, 40, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 2048, 4096)


@dataclass(frozen=True)
class SplitSummary:
    """One split of a store."""

    split: str
    chains: int
    residues: int
    clusters: int


@dataclass(frozen=True)
class LengthBin:
    """Chains of `first` to `last` residues; the last bin has no end."""

    first: int
    last: int | None
    chains: int


@dataclass(frozen=True)
class RejectCount:
    """How often a rule rejected a file or chain, with the first of them."""

    rule: str
    rejected: int
    example: str


@dataclass(frozen=True)
class StoreSummary:
    """The numbers of one store.

    Attributes:
        with_all_atoms: chains in which no N, C or O is missing.
        helix: mean over chains; `strand` and `coil` likewise (P-SEA).
        rg_ratio: mean radius of gyration over 2.2 n^0.38.
        resolution_known: chains whose file states a resolution; the others of this kind are None
            if there are none.
    """

    path: Path
    created_by: str
    source: str
    chains: int
    residues: int
    clusters: int
    shortest: int
    median_length: float
    longest: int
    helix: float
    strand: float
    coil: float
    rg_ratio: float
    resolution_known: int
    resolution_median: float | None
    resolution_worst: float | None
    splits: tuple[SplitSummary, ...]
    lengths: tuple[LengthBin, ...]
    rejects: tuple[RejectCount, ...]


def summarise_store(store: ChainStore) -> StoreSummary:
    """Count what a store holds and what was rejected on the way; reads columns, no coordinates.

    Raises:
        InputError: the rejects table is damaged.
    """
    info, lengths = store.info, store.lengths
    resolution = store.column("resolution")
    known = resolution[np.isfinite(resolution)]
    ratio = store.column("rg") / np.array([expected_rg(length) for length in lengths.tolist()])
    return StoreSummary(
        path=store.path,
        created_by=info.created_by,
        source=info.source,
        chains=info.chains,
        residues=info.residues,
        clusters=info.clusters,
        shortest=int(lengths.min()),
        median_length=float(np.median(lengths)),
        longest=int(lengths.max()),
        helix=_mean(store.column("helix")),
        strand=_mean(store.column("strand")),
        coil=_mean(store.column("coil")),
        rg_ratio=_mean(ratio),
        resolution_known=len(known),
        resolution_median=float(np.median(known)) if len(known) else None,
        resolution_worst=float(known.max()) if len(known) else None,
        splits=tuple(_split_summary(store, name) for name in SPLITS),
        lengths=tuple(_length_bins(lengths)),
        rejects=count_rejects(store.rejects_path),
    )


def count_rejects(path: Path) -> tuple[RejectCount, ...]:
    """Count the lines of a rejects table by rule, the most frequent first.

    Raises:
        InputError: it is no such table.
    """
    counts: Counter[str] = Counter()
    examples: dict[str, str] = {}
    try:
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                counts[row["rule"]] += 1
                place = row["chain"] or row["file"]
                examples.setdefault(row["rule"], f"{place}: {row['reason']}")
    except (OSError, KeyError, UnicodeDecodeError) as error:
        message = f"is no rejects table ({error!r}); prepare the store again"
        raise InputError(Problem(str(path), message)) from error
    return tuple(
        RejectCount(rule, count, examples[rule])
        for rule, count in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    )


def _split_summary(store: ChainStore, name: str) -> SplitSummary:
    members = store.split(name)
    return SplitSummary(
        split=name,
        chains=store.info.splits.get(name, 0),
        residues=int(store.lengths[members].sum(dtype=np.int64)),
        clusters=len(np.unique(store.cluster_index[members])),
    )


def _length_bins(lengths: np.ndarray) -> Iterator[LengthBin]:
    """Bins from the first that holds a chain to the last that does."""
    which = np.searchsorted(_LENGTH_EDGES, lengths, side="right") - 1
    counts = np.bincount(which, minlength=len(_LENGTH_EDGES))
    for number in range(int(which.min()), int(which.max()) + 1):
        is_last = number == len(_LENGTH_EDGES) - 1
        last = None if is_last else _LENGTH_EDGES[number + 1] - 1
        yield LengthBin(_LENGTH_EDGES[number], last, int(counts[number]))


def _mean(values: np.ndarray) -> float:
    return float(values.mean(dtype=np.float64))
