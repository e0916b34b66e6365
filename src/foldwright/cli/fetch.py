"""`foldwright data fetch`: download structure files."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from foldwright.cli.exit_codes import DONE, SOME_FAILED
from foldwright.cli.output import emit
from foldwright.cli.progress import terminal_progress
from foldwright.data.domain_lists import (
    ListedDomain,
    ResidueSpan,
    complete_spans,
    read_domain_list,
)
from foldwright.data.download import DownloadPolicy
from foldwright.data.fetch import fetch_structures
from foldwright.data.fetch_ids import StructureId, plan_targets, read_structure_ids
from foldwright.data.fetch_manifest import (
    DOMAINS_NAME,
    MANIFEST_NAME,
    FetchRecord,
    read_checksums,
    write_domain_table,
)


@dataclass(frozen=True)
class FetchLists:
    """What to fetch, beside ids on the line."""

    ids: Annotated[tuple[Path, ...], Parameter(help="Text file of ids; may be repeated.")] = ()
    domains: Annotated[
        tuple[Path, ...],
        Parameter(help="SCOPe, ASTRAL or CATH domain list; may be repeated."),
    ] = ()
    domain_ranges: Annotated[
        tuple[Path, ...],
        Parameter(help="List that only supplies residue ranges: dir.cla, CATH boundaries."),
    ] = ()
    checksums: Annotated[
        Path | None, Parameter(help="SHA-256 sums of the files, as sha256sum writes them.")
    ] = None


@dataclass(frozen=True)
class FetchServers:
    """Where files come from and how patiently."""

    base_url: Annotated[
        str | None,
        Parameter(help="PDB address with {id}, {format}, {middle}, or a folder. Default: RCSB."),
    ] = None
    afdb_url: Annotated[str | None, Parameter(help="The same for AlphaFold-DB. Default: EBI.")] = (
        None
    )
    afdb_version: Annotated[int, Parameter(help="Version of AlphaFold-DB models.")] = 6
    workers: Annotated[int, Parameter(help="Downloads at a time.")] = 4
    attempts: Annotated[int, Parameter(help="Attempts per file.")] = 5
    timeout: Annotated[float, Parameter(help="Seconds to wait for a connection or data.")] = 30.0
    backoff: Annotated[
        float, Parameter(help="Longest pause after a first failure, in seconds; doubles.")
    ] = 1.0


def fetch_command(
    *names: str,
    out: Path,
    file_format: Annotated[Literal["cif", "bcif", "pdb"], Parameter(name="--format")] = "cif",
    lists: Annotated[FetchLists, Parameter(name="*")] = FetchLists(),
    servers: Annotated[FetchServers, Parameter(name="*")] = FetchServers(),
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Download structures from the PDB and AlphaFold-DB; run again to go on after a stop.

    Examples:
        foldwright data fetch 1crn 4hhb_A P00520 --out raw/
        foldwright data fetch --domains dir.cla.scope.txt --format bcif --out scope/

    Args:
        names: PDB ids (1abc, 1abc_A) or UniProt accessions (P00520).
        out: Folder for the files, manifest.csv and domains.csv.
        file_format: Format of the files; gzipped as the server gives them.
        as_json: Print one JSON object.
    """
    ids = read_structure_ids(names, lists.ids)
    domains = _wanted_domains(ids, lists)
    wanted = [*ids, *(StructureId("pdb", domain.pdb_id) for domain in domains)]
    targets = plan_targets(
        wanted,
        file_format=file_format,
        afdb_version=servers.afdb_version,
        pdb_url=servers.base_url,
        afdb_url=servers.afdb_url,
    )
    records = fetch_structures(
        targets,
        out,
        workers=servers.workers,
        policy=DownloadPolicy(servers.attempts, servers.timeout, servers.backoff),
        checksums=read_checksums(lists.checksums) if lists.checksums is not None else None,
        progress=terminal_progress,
    )
    if domains:
        write_domain_table(out, domains, _files_there(records))
    return _report(out, records, domains, as_json)


def _wanted_domains(ids: Sequence[StructureId], lists: FetchLists) -> list[ListedDomain]:
    """Domains of the lists, and chains named with an id as domains of their own."""
    listed = [domain for path in lists.domains for domain in read_domain_list(path)]
    table = [domain for path in lists.domain_ranges for domain in read_domain_list(path)]
    chains = [
        ListedDomain(f"{wanted.entry}_{wanted.chain}", wanted.entry, (ResidueSpan(wanted.chain),))
        for wanted in ids
        if wanted.chain
    ]
    return [*chains, *complete_spans(listed, table)]


def _files_there(records: Sequence[FetchRecord]) -> dict[str, str]:
    return {record.id: record.file for record in records if record.status != "failed"}


def _report(
    out: Path, records: Sequence[FetchRecord], domains: Sequence[ListedDomain], as_json: bool
) -> int:
    """Print counts and every failure; 1 if anything failed."""
    counts = Counter(record.status for record in records)
    failures = [record for record in records if record.status == "failed"]
    without_ranges = sum(domain.spans is None for domain in domains)
    summary = {
        "fetched": counts["fetched"],
        "present": counts["present"],
        "failed": counts["failed"],
        "domains": len(domains),
        "domains_without_ranges": without_ranges,
        "manifest": str(out / MANIFEST_NAME),
        "domain_table": str(out / DOMAINS_NAME) if domains else None,
        "failures": [{"id": record.id, "reason": record.reason} for record in failures],
    }
    emit(summary, as_json)
    return SOME_FAILED if failures else DONE
