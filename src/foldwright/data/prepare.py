"""From a folder of structure files to a chain store.

Every file becomes an item in `OUT.items/`, by several processes and in any order; then the items
go into the store in the order of their names. So the store has the same bytes whatever the
number of processes, and a run that was killed continues with the files that have no item yet.
"""

import logging
import multiprocessing
import os
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from foldwright.data.clusters import SplitSettings, find_cluster, read_clusters, split_of_cluster
from foldwright.data.domain_cutting import read_domain_table
from foldwright.data.domain_lists import ListedDomain
from foldwright.data.fetch_manifest import DOMAINS_NAME
from foldwright.data.filters import FilterSettings
from foldwright.data.prepared_items import (
    FileJob,
    PreparedChain,
    fingerprint_of,
    is_current,
    leave_interrupts_to_the_parent,
    prepare_file,
    read_item,
)
from foldwright.data.store import NewChain, StoreWriter
from foldwright.runtime.errors import FoldwrightError, InputError, Problem
from foldwright.runtime.partials import remove_partials
from foldwright.runtime.progress import ProgressFactory, silent

_LOG = logging.getLogger(__name__)
_STRUCTURE_NAME = re.compile(
    r"(?P<stem>.+?)\.(pdb\d*|ent|cif|mmcif|bcif|mmtf)(\.gz)?|(?P<bare>[^.]+)", re.IGNORECASE
)
_FILES_PER_TASK = 4


@dataclass(frozen=True)
class PrepareReport:
    """What `prepare_store` did.

    Attributes:
        files: structure files found.
        reused: files whose item of an earlier run was taken.
        splits: chains of each split.
        rejects: rejected files and chains by rule.
    """

    files: int
    reused: int
    chains: int
    residues: int
    splits: dict[str, int]
    rejects: dict[str, int]


def prepare_store(
    folder: Path,
    out: Path,
    *,
    filters: FilterSettings,
    splits: SplitSettings,
    clusters: Path | None = None,
    domains: Path | None = None,
    workers: int = 1,
    progress: ProgressFactory = silent,
) -> PrepareReport:
    """Read all structure files below `folder` and write the chains that pass to the store `out`.

    Rejected files and chains are in its `rejects.csv`, one line each. Without `clusters`, chains
    of equal sequence form one cluster.

    Args:
        filters: what a chain must be like.
        splits: shares of validation and test set, by cluster.
        clusters: file that `read_clusters` reads; chains that it does not name are rejected.
        domains: file that `read_domain_table` reads. Of the files that it names the domains are
            stored, under their names; of others the chains.
        workers: number of processes.

    Raises:
        InputError: bad arguments, or no chain passed.
        FoldwrightError: the disk is full, or a process died. Finished items are kept.
    """
    if workers < 1:
        raise InputError(f"workers must be 1 or more, got {workers}")
    writer = StoreWriter(out, source=f"structure files of {folder.name or folder}")
    known_clusters = None if clusters is None else read_clusters(clusters)
    cuts = _domains_of_files(folder, domains)
    jobs = _jobs(folder, writer.path.with_name(f"{writer.path.name}.items"), filters, cuts)
    for items in {job.item.parent for job in jobs}:
        remove_partials(items)
    missing = [job for job in jobs if not is_current(job)]
    _prepare_files(missing, workers, progress)
    with writer, progress("store", len(jobs)) as bar:
        for job in jobs:
            _store_file(job, writer, splits, known_clusters)
            bar.advance(chains=str(writer.num_chains))
        _reject_domains_without_file(cuts, {job.file for job in jobs}, writer)
    return PrepareReport(
        files=len(jobs),
        reused=len(jobs) - len(missing),
        chains=writer.num_chains,
        residues=writer.num_residues,
        splits=dict(writer.split_counts),
        rejects=dict(writer.reject_counts),
    )


def find_structure_files(folder: Path) -> list[tuple[Path, str]]:
    """Return the structure files below a folder and their names without suffix, sorted by path.

    These are files with the suffix of a structure format, gzipped or not, and files without any;
    hidden files and folders are passed over.

    Raises:
        InputError: there is no such folder, or no such file in it.
    """
    if not folder.is_dir():
        raise InputError(Problem(str(folder), "is no folder; give one with structure files"))
    found = []
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            match = _STRUCTURE_NAME.fullmatch(name)
            if match and not name.startswith("."):
                found.append((Path(parent, name), match["stem"] or match["bare"]))
    if not found:
        message = "holds no structure files (.pdb, .ent, .cif, .mmcif, .bcif, each also with .gz)"
        raise InputError(Problem(str(folder), message))
    return sorted(found, key=lambda pair: pair[0].relative_to(folder).parts)


def _domains_of_files(folder: Path, table: Path | None) -> dict[str, list[ListedDomain]]:
    if table is not None:
        return read_domain_table(table)
    if (folder / DOMAINS_NAME).is_file():
        path = folder / DOMAINS_NAME
        _LOG.warning("%s is not used and whole chains are stored; --domains cuts them", path)
    return {}


def _reject_domains_without_file(
    cuts: Mapping[str, Sequence[ListedDomain]], files: set[str], writer: StoreWriter
) -> None:
    for file in sorted(cuts.keys() - files):
        for domain in cuts[file]:
            place = file or f"the entry {domain.pdb_id}"
            writer.reject(file, domain.name, "no-file", f"{place} is not in the folder")


def _jobs(
    folder: Path,
    items: Path,
    filters: FilterSettings,
    cuts: Mapping[str, Sequence[ListedDomain]],
) -> list[FileJob]:
    jobs = []
    for path, stem in find_structure_files(folder):
        file = _printable(path.relative_to(folder).as_posix())
        domains = tuple(cuts.get(file, ()))
        hashed = sha256(file.encode()).hexdigest()
        jobs.append(
            FileJob(
                path=path,
                file=file,
                stem=_printable(stem),
                item=items / hashed[:2] / f"{hashed[2:34]}.npz",  # no folder grows huge
                fingerprint=fingerprint_of(path, file, filters, domains),
                filters=filters,
                domains=domains,
            )
        )
    return jobs


def _printable(name: str) -> str:
    """A file name may hold bytes that are no text; tables and stores hold text."""
    return name.encode(errors="backslashreplace").decode()


def _prepare_files(jobs: Sequence[FileJob], workers: int, progress: ProgressFactory) -> None:
    with progress("prepare", len(jobs)) as bar:
        if workers == 1 or len(jobs) <= _FILES_PER_TASK:
            for job in jobs:
                prepare_file(job)
                bar.advance()
            return
        # A forked process could inherit a lock that a thread of this one holds.
        pool = ProcessPoolExecutor(
            min(workers, len(jobs)),
            mp_context=multiprocessing.get_context("spawn"),
            initializer=leave_interrupts_to_the_parent,
        )
        try:
            for _ in pool.map(prepare_file, jobs, chunksize=_FILES_PER_TASK):
                bar.advance()
        except BrokenProcessPool as error:
            raise FoldwrightError(
                "a process that reads structure files died, perhaps for lack of memory; what is "
                "finished is kept: run the same command again, with fewer --workers"
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


def _store_file(
    job: FileJob, writer: StoreWriter, splits: SplitSettings, clusters: dict[str, str] | None
) -> None:
    prepared = read_item(job)
    if prepared is None:  # damaged, or deleted under our hands
        prepare_file(job)
        prepared = read_item(job)
        assert prepared is not None
    for reject in prepared.rejects:
        writer.reject(job.file, reject.chain, reject.rejection.rule, reject.rejection.reason)
    for chain in prepared.chains:
        cluster = _cluster_of(chain, job, clusters)
        if chain.name in writer.names:
            reason = f"another file has a chain of the name {chain.name} already"
            writer.reject(job.file, chain.name, "same-name", reason)
        elif cluster is None:
            reason = f"the cluster file names neither {' nor '.join(_cluster_names(chain, job))}"
            writer.reject(job.file, chain.name, "no-cluster", reason)
        else:
            writer.add(_new_chain(chain, job, cluster, split_of_cluster(cluster, splits)))


def _new_chain(chain: PreparedChain, job: FileJob, cluster: str, split: str) -> NewChain:
    return NewChain(
        name=chain.name,
        backbone=chain.piece.backbone,
        sequence=chain.piece.sequence,
        residue_numbers=chain.piece.residue_numbers,
        split=split,
        cluster=cluster,
        shape=chain.shape,
        resolution=chain.resolution,
        origin=job.file,
    )


def _cluster_of(chain: PreparedChain, job: FileJob, clusters: dict[str, str] | None) -> str | None:
    if clusters is None:
        # Of the whole chain, so that the pieces of one chain stay in one split.
        return f"sequence-{chain.chain_hash[:16]}"
    return find_cluster(clusters, _cluster_names(chain, job))


def _cluster_names(chain: PreparedChain, job: FileJob) -> list[str]:
    """What a clustering program may call a chain: by our name, or by the name of its file."""
    in_file = chain.whole_name.removeprefix(job.stem)
    file_name = job.path.name
    names = [chain.name, chain.whole_name, f"{file_name}{in_file}"]
    names += [f"{file_name.removesuffix('.gz')}{in_file}", file_name, job.stem]
    return list(dict.fromkeys(names))
