"""One structure file in, one item file out: its chains that pass, and why others do not.

An item carries the fingerprint of what it was made of (the file's size and time, the filters,
the program's version). An item with another fingerprint is made again.
"""

import hashlib
import json
import signal
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from foldwright import __version__
from foldwright.data.chain_shape import ChainShape
from foldwright.data.domain_cutting import cut_domain
from foldwright.data.domain_lists import ListedDomain
from foldwright.data.filters import (
    ChainPiece,
    FilterSettings,
    Rejection,
    chain_pieces,
    judge_piece,
)
from foldwright.runtime.errors import InputError
from foldwright.runtime.files import atomic_path
from foldwright.structure.io import read_structure
from foldwright.structure.records import Chain

_ITEM_VERSION = 1
# What reading an item that is missing or damaged raises; it is made again, so nothing is lost.
_DAMAGED = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile)


@dataclass(frozen=True)
class FileJob:
    """One structure file to prepare.

    Attributes:
        path: where it is.
        file: its path below the folder given by the user, with `/`.
        stem: its name without the suffixes of structure files.
        item: where its item goes.
        fingerprint: from `fingerprint_of`.
        domains: what is cut out of the file; without any it is taken by chains.
    """

    path: Path
    file: str
    stem: str
    item: Path
    fingerprint: str
    filters: FilterSettings
    domains: tuple[ListedDomain, ...] = ()


def fingerprint_of(
    path: Path, file: str, filters: FilterSettings, domains: Sequence[ListedDomain] = ()
) -> str:
    """Return what the item of a file depends on, as 64 hexadecimal digits."""
    facts = path.stat()
    parts = [_ITEM_VERSION, __version__, file, facts.st_size, facts.st_mtime_ns]
    cuts = [[domain.name, *map(str, domain.spans or ())] for domain in domains]
    message = json.dumps([*parts, filters.model_dump(mode="json"), cuts])
    return hashlib.sha256(message.encode()).hexdigest()


@dataclass(frozen=True)
class RejectedPart:
    """A file, or one chain of it, that is left out; `chain` is empty for the whole file."""

    chain: str
    rejection: Rejection


@dataclass(frozen=True, eq=False)
class PreparedChain:
    """One piece that passed.

    Attributes:
        name: name in the store.
        whole_name: name of the chain it was cut from, the same if it was not cut.
        chain_hash: hash of the sequence of that chain, the same for equal sequences.
    """

    name: str
    whole_name: str
    chain_hash: str
    piece: ChainPiece
    shape: ChainShape
    resolution: float | None


@dataclass(frozen=True, eq=False)
class PreparedFile:
    """What became of one structure file."""

    chains: tuple[PreparedChain, ...]
    rejects: tuple[RejectedPart, ...]


# What a fault of ours raises: it goes on to the parent, with the file that showed it.
_FAULTS = (ArithmeticError, AssertionError, LookupError, RuntimeError, TypeError, ValueError)


def leave_interrupts_to_the_parent() -> None:
    """Let Ctrl-C, which reaches every process of a terminal, stop the main one only."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def prepare_file(job: FileJob) -> None:
    """Read one structure file and write its item.

    Raises:
        FoldwrightError: the item cannot be written.
    """
    try:
        prepared = _prepare(job)
    except _FAULTS as error:
        error.add_note(f"while preparing {job.path}")
        raise
    _write_item(job, prepared)


def _prepare(job: FileJob) -> PreparedFile:
    try:
        structure = read_structure(job.path)
    except InputError as error:
        reason = str(error).removeprefix(f"{job.path}: ")
        return PreparedFile((), (RejectedPart("", Rejection("unreadable", reason)),))
    accepted: list[PreparedChain] = []
    rejects: list[RejectedPart] = []
    for name, chain in _candidates(job, structure.protein_chains):
        if isinstance(chain, Rejection):
            rejects.append(RejectedPart(name, chain))
            continue
        pieces = chain_pieces(chain, job.filters)
        if isinstance(pieces, Rejection):
            rejects.append(RejectedPart(name, pieces))
            continue
        for piece in pieces:
            verdict = judge_piece(piece, structure.resolution, job.filters)
            piece_name = f"{name}_{piece.number}" if piece.number else name
            if isinstance(verdict, Rejection):
                rejects.append(RejectedPart(piece_name, verdict))
                continue
            hashed = hashlib.sha256(chain.sequence.encode()).hexdigest()
            accepted.append(
                PreparedChain(piece_name, name, hashed, piece, verdict, structure.resolution)
            )
    if not structure.protein_chains and not job.domains:
        rejects.append(RejectedPart("", Rejection("no-protein", "holds no protein chain")))
    return PreparedFile(tuple(accepted), tuple(rejects))


def _candidates(job: FileJob, chains: tuple[Chain, ...]) -> Iterator[tuple[str, Chain | Rejection]]:
    """The domains of a file that has some, else its chains, each under its name."""
    if not job.domains:
        yield from _named_chains(job.stem, chains)
    for domain in job.domains:
        yield domain.name, cut_domain(domain, chains)


def _named_chains(stem: str, chains: tuple[Chain, ...]) -> Iterator[tuple[str, Chain]]:
    """Chains under a name that is unique in the file; a chain without a name has the file's."""
    seen: dict[str, int] = {}
    for chain in chains:
        name = f"{stem}_{chain.chain_id}" if chain.chain_id else stem
        seen[name] = seen.get(name, 0) + 1
        yield (name if seen[name] == 1 else f"{name}.{seen[name]}"), chain


def _write_item(job: FileJob, prepared: PreparedFile) -> None:
    pieces = [chain.piece for chain in prepared.chains]
    about = {
        "fingerprint": job.fingerprint,
        "chains": [_chain_row(chain) for chain in prepared.chains],
        "rejects": [
            [reject.chain, reject.rejection.rule, reject.rejection.reason]
            for reject in prepared.rejects
        ],
    }
    # The empty arrays give a file without chains arrays of the right type.
    backbones = [np.empty((0, 4, 3), np.float32), *(piece.backbone for piece in pieces)]
    numbers = [np.empty(0, np.int32), *(piece.residue_numbers for piece in pieces)]
    with atomic_path(job.item) as temporary, temporary.open("xb") as file:
        np.savez(
            file,
            about=np.frombuffer(json.dumps(about).encode(), np.uint8),
            backbone=np.concatenate(backbones),
            residue_numbers=np.concatenate(numbers),
        )


def _chain_row(chain: PreparedChain) -> dict[str, object]:
    return {
        "name": chain.name,
        "whole_name": chain.whole_name,
        "chain_hash": chain.chain_hash,
        "sequence": chain.piece.sequence,
        "number": chain.piece.number,
        "shape": asdict(chain.shape),
        "resolution": chain.resolution,
    }


def is_current(job: FileJob) -> bool:
    """Say whether a file needs no preparing: it has an item made of the same things."""
    return _read_about(job) is not None


def read_item(job: FileJob) -> PreparedFile | None:
    """Return what the item of a file holds, or None if there is none that fits or it is damaged."""
    about = _read_about(job)
    if about is None:
        return None
    try:
        with np.load(job.item, allow_pickle=False) as item:
            backbone, numbers = item["backbone"], item["residue_numbers"]
    except _DAMAGED:
        return None
    chains, start = [], 0
    for row in about["chains"]:
        end = start + len(row["sequence"])
        piece = ChainPiece(
            backbone=backbone[start:end],
            sequence=row["sequence"],
            residue_numbers=numbers[start:end],
            number=row["number"],
        )
        facts = {name: row[name] for name in ("name", "whole_name", "chain_hash", "resolution")}
        chains.append(PreparedChain(piece=piece, shape=ChainShape(**row["shape"]), **facts))
        start = end
    rejects = (RejectedPart(chain, Rejection(*words)) for chain, *words in about["rejects"])
    return PreparedFile(tuple(chains), tuple(rejects))


def _read_about(job: FileJob) -> dict[str, Any] | None:
    try:
        with np.load(job.item, allow_pickle=False) as item:
            about = json.loads(item["about"].tobytes())
    except _DAMAGED:
        return None
    return about if about["fingerprint"] == job.fingerprint else None
