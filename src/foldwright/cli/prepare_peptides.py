"""`foldwright data prepare-peptides`: stores of peptides to train on."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from foldwright.cli.exit_codes import DONE
from foldwright.cli.output import emit
from foldwright.data.peptide_prepare import (
    draw_splits,
    drop_nucleotide_sequences,
    drop_start_residues,
)
from foldwright.data.peptide_store import REJECTS_NAME, write_peptide_store
from foldwright.data.peptide_structure_cache import StructureCache
from foldwright.data.peptide_structures import PeptideStructures
from foldwright.data.peptide_table import PeptideLimits, PeptideTable
from foldwright.runtime.files import sha256_file

_LIMITS = PeptideLimits()


def prepare_peptides_command(
    table: Path,
    *,
    out: Path,
    limits: Annotated[PeptideLimits, Parameter(name="*")] = _LIMITS,
    ignore: tuple[str, ...] = (),
    skip_bad_rows: Annotated[bool, Parameter(negative="")] = False,
    drop_start: Annotated[bool, Parameter(negative="")] = False,
    drop_dna: Annotated[bool, Parameter(negative="")] = False,
    structures: Path | None = None,
    val_share: float = 0.1,
    seed: int = 0,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Turn a table of peptides (CSV or FASTA) into a store.

    Every bad row is named with its number, and nothing is written; with --skip-bad-rows they are
    listed in rejects.csv of the store instead.

    Examples:
        foldwright data prepare-peptides peptides.csv.gz --out store/
        foldwright data prepare-peptides peptides.csv --out store/ --skip-bad-rows --max-length 40
        foldwright data prepare-peptides peptides.csv --out store/ --structures structures.npz

    Args:
        table: CSV with a column sequence and one column per label (1, 0 or nothing), or FASTA.
        out: Folder of the store.
        limits: Lengths that are taken.
        ignore: Columns that are no labels.
        skip_bad_rows: Leave bad rows out and list them.
        drop_start: Take the leading M off peptides without any label 1.
        drop_dna: Leave out what reads as DNA (ten letters or more, only A, C, G and T).
        structures: File of predicted structures (.npz), or folder of `predict-structures`.
        val_share: Share of clusters that go to the split val where the table has no splits.
        seed: Decides which those are.
        as_json: Print one JSON object.
    """
    read = PeptideTable.read(table, limits=limits, ignore=ignore, skip_bad_rows=skip_bad_rows)
    if drop_dna:
        read = drop_nucleotide_sequences(read)
    if drop_start:
        read = drop_start_residues(read, limits)
    known = None if structures is None else _open_structures(structures)
    source = f"{table.name}, SHA-256 {sha256_file(table)}"
    info = write_peptide_store(
        draw_splits(read, val_share=val_share, seed=seed), out, source=source, structures=known
    )
    record = {
        "store": out,
        "peptides": info.peptides,
        "splits": info.splits,
        "labels": info.label_names,
        "structures": info.structures,
        "rejected": len(read.rejects),
        "rejects_table": out / REJECTS_NAME,
    }
    emit(record, as_json)
    return DONE


def _open_structures(path: Path) -> PeptideStructures | StructureCache:
    return StructureCache(path) if path.is_dir() else PeptideStructures.read(path)
