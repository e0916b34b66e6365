"""`foldwright data prepare`, `inspect` and `import-legacy`: stores of chains to train on."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from foldwright.cli.exit_codes import DONE
from foldwright.cli.output import emit
from foldwright.cli.progress import terminal_progress
from foldwright.data.clusters import SplitSettings
from foldwright.data.filters import FilterSettings
from foldwright.data.inspect import summarise_store
from foldwright.data.legacy import ImportReport, import_genie_data
from foldwright.data.prepare import PrepareReport, prepare_store
from foldwright.data.store import ChainStore
from foldwright.data.store_format import REJECTS_NAME

_BAR_WIDTH = 40
_FILTERS = FilterSettings()
_SPLITS = SplitSettings()


def prepare_command(
    folder: Path,
    *,
    out: Path,
    filters: Annotated[FilterSettings, Parameter(name="*", negative_none="no-")] = _FILTERS,
    splits: Annotated[SplitSettings, Parameter(name="*")] = _SPLITS,
    clusters: Path | None = None,
    domains: Path | None = None,
    workers: int = 1,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Turn a folder of structure files into a store; run again to go on after a stop.

    Chains that do not pass the limits are listed in rejects.csv of the store with the reason.

    Examples:
        foldwright data prepare raw/ --out store/ --workers 8
        foldwright data prepare raw/ --out store/ --split-at-breaks --max-length 256
        foldwright data prepare raw/ --out store/ --clusters clusters.tsv
        foldwright data prepare scope/ --domains scope/domains.csv --out store/

    Args:
        folder: Folder of PDB, mmCIF or BinaryCIF files, searched with its subfolders.
        out: Folder of the store. Unfinished work waits in OUT.items beside it.
        clusters: Clusters of similar chains: representative, tab, member; or CSV name,cluster.
        domains: The domains.csv of a fetch: domains are cut out of the files that it names.
        workers: Processes that read files.
        as_json: Print one JSON object.
    """
    report = prepare_store(
        folder,
        out,
        filters=filters,
        splits=splits,
        clusters=clusters,
        domains=domains,
        workers=workers,
        progress=terminal_progress,
    )
    emit(_report_record(out, report), as_json)
    return DONE


def import_legacy_command(
    folder: Path,
    *,
    out: Path,
    names: Path | None = None,
    splits: Annotated[SplitSettings, Parameter(name="*")] = _SPLITS,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Turn a data set of the original Genie (text coordinates, name lists) into a store.

    Examples:
        foldwright data import-legacy data/scope/coords/ --out store/
        foldwright data import-legacy coords/ --names dataset.txt --out store/

    Args:
        folder: Folder of coordinate files: 3 columns, rows N, CA, C for each residue, in Å.
        out: Folder of the store.
        names: List of one name per line; only these chains are taken.
        as_json: Print one JSON object.
    """
    report = import_genie_data(folder, out, splits=splits, names=names, progress=terminal_progress)
    emit(_report_record(out, report), as_json)
    return DONE


def inspect_command(
    store: Path,
    *,
    verify: Annotated[bool, Parameter(negative="")] = False,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Show what a store holds: counts, splits, lengths, secondary structure, rejects.

    Examples:
        foldwright data inspect store/
        foldwright data inspect store/ --verify --json

    Args:
        store: Folder of the store.
        verify: Read everything and compare the checksums.
        as_json: Print one JSON object.
    """
    opened = ChainStore.open(store)
    if verify:
        opened.verify()
    record = asdict(summarise_store(opened)) | {"verified": verify}
    if not as_json:
        record["lengths"] = _length_bars(record["lengths"])
    emit(record, as_json)
    return DONE


def _report_record(out: Path, report: PrepareReport | ImportReport) -> dict[str, Any]:
    return {"store": out, **asdict(report), "rejects_table": out / REJECTS_NAME}


def _length_bars(bins: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of a histogram; every bin that holds a chain has at least one mark."""
    most = max(row["chains"] for row in bins)
    return [
        {
            "residues": f"{row['first']}-{row['last'] or ''}",
            "chains": row["chains"],
            "share": "#" * -(-_BAR_WIDTH * row["chains"] // most),
        }
        for row in bins
    ]
