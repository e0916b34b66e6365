"""`foldwright data predict-structures`: a cache of structures of peptides, by ESMFold."""

from pathlib import Path
from typing import Annotated

import numpy as np
from cyclopts import Parameter

from foldwright.cli.exit_codes import DONE
from foldwright.cli.output import emit
from foldwright.cli.progress import terminal_progress
from foldwright.data.peptide_structure_cache import StructureCache
from foldwright.data.peptide_structures import StoredStructure
from foldwright.data.peptide_table import PeptideLimits, PeptideTable
from foldwright.interop.esmfold import load_esmfold
from foldwright.runtime.device import select_device

_LIMITS = PeptideLimits()


def predict_structures_command(
    table: Path,
    *,
    out: Path,
    checkpoint: str = "facebook/esmfold_v1",
    limits: Annotated[PeptideLimits, Parameter(name="*")] = _LIMITS,
    ignore: tuple[str, ...] = (),
    device: str = "auto",
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Predict the structures of a table of peptides; run again to go on after a stop.

    Each structure is a file of its own, named by the MD5 of the sequence; those that are there
    already are not predicted again.

    Examples:
        foldwright data predict-structures peptides.csv --out structures/
        foldwright data predict-structures peptides.csv --checkpoint esmfold/ --out structures/

    Args:
        table: CSV with a column sequence, or FASTA.
        out: Folder of the cache, which `prepare-peptides --structures` reads.
        checkpoint: ESMFold for transformers: a name on the hub, or a folder.
        limits: Lengths that are taken.
        ignore: Columns that are no labels.
        device: auto, cpu, cuda, cuda:1 or mps.
        as_json: Print one JSON object.
    """
    sequences = PeptideTable.read(table, limits=limits, ignore=ignore).sequences
    cache = StructureCache(out)
    missing = [sequence for sequence in sequences if cache.get(sequence) is None]
    fold = load_esmfold(checkpoint, select_device(device)) if missing else None
    with terminal_progress("predicting structures", len(sequences)) as bar:
        bar.skip(len(sequences) - len(missing))
        for sequence in missing:
            assert fold is not None
            backbone, plddt = fold(sequence)
            exists = np.ones(backbone.shape[:2], dtype=bool)
            cache.put(sequence, StoredStructure(backbone, exists, plddt))
            bar.advance(1, plddt=float(plddt.mean()))
    emit({"cache": out, "structures": len(sequences), "predicted": len(missing)}, as_json)
    return DONE
