"""`foldwright evaluate`: scores of designs beside natural values, of peptides beside real ones."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from foldwright.cli.evaluate_peptides import PeptideOptions, evaluate_peptide_file
from foldwright.cli.exit_codes import DONE, SOME_FAILED
from foldwright.cli.output import emit
from foldwright.cli.progress import terminal_progress
from foldwright.evaluation.folder import evaluate_folder
from foldwright.evaluation.peptides.reading import is_peptide_file
from foldwright.evaluation.tables import (
    SCORES_NAME,
    SUMMARY_NAME,
    summary_record,
    write_tables,
)
from foldwright.runtime.errors import InputError, Problem

OUT_NAME = "evaluation"
_NO_OPTIONS = PeptideOptions()


def evaluate_command(
    folder: Path,
    *,
    out: Path | None = None,
    peptides: Annotated[PeptideOptions, Parameter(name="*")] = _NO_OPTIONS,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Score all structures of a folder against natural proteins, or a file of peptides.

    Examples:
        foldwright evaluate designs/
        foldwright evaluate designs/ --json --out scores/
        foldwright evaluate peptides/peptides.fasta
        foldwright evaluate new.fasta --reference peptides.csv.gz --label antimicrobial

    Args:
        folder: PDB, mmCIF or BinaryCIF files, also gzipped, at any depth; or one FASTA or CSV
            file of peptides.
        out: Folder for the tables of scores. Default: evaluation/ in the folder, or beside the
            file.
        peptides: How peptides are scored.
        as_json: Print what the summary holds.
    """
    if is_peptide_file(folder):
        beside = folder.parent / OUT_NAME if out is None else out
        return evaluate_peptide_file(folder, beside, peptides, as_json)
    if peptides != _NO_OPTIONS:
        message = "is no FASTA or CSV file; options for peptides mean nothing for structures"
        raise InputError(Problem(str(folder), message))
    target = folder / OUT_NAME if out is None else out
    evaluation = evaluate_folder(folder, progress=terminal_progress)
    record = summary_record(evaluation)
    write_tables(evaluation, record, target)
    emit(record if as_json else _for_people(record, target), as_json)
    return SOME_FAILED if evaluation.failures else DONE


def _for_people(record: Mapping[str, Any], target: Path) -> dict[str, Any]:
    shown: dict[str, Any] = {"designs": record["designs"], "failed": record["failed"]}
    if "metrics" in record:
        shown["residues"] = f"{record['shortest']} to {record['longest']}"
        shown["secondary_structure"] = record["secondary_structure"]
        shown["gates"] = "all passed" if record["passed"] else "missed"
        shown["diversity"] = _diversity(record["diversity"])
        shown["scores"] = list(_lines(record["metrics"]))
    shown["failures"] = record["failures"]
    return shown | {"table": target / SCORES_NAME, "summary": target / SUMMARY_NAME}


def _lines(metrics: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Rows of the screen's table: value, natural value with its range, gate."""
    for line in metrics:
        low, high = (_number(line[f"natural_{end}"], line["unit"]) for end in ("low", "high"))
        yield {
            "score": line["label"],
            "here": _number(line["value"], line["unit"]),
            "natural": _number(line["natural"], line["unit"]),
            "single_chains_5-95_%": "-" if line["natural_low"] is None else f"{low} to {high}",
            "gate": line["gate"] or "",
            "result": {True: "pass", False: "MISS", None: "not judged" if line["gate"] else ""}[
                line["passed"]
            ],
        }


def _number(value: float | None, unit: str) -> str:
    if value is None:
        return "-"
    return f"{100 * value:.1f} %" if unit == "%" else f"{value:.4g} {unit}".rstrip()


def _diversity(diversity: Mapping[str, Any]) -> str:
    if diversity["mean_tm"] is None:
        return "no two designs of one length"
    return (
        f"mean TM-score {diversity['mean_tm']:.2f}, highest {diversity['highest_tm']:.2f} "
        f"({diversity['num_pairs']} of {diversity['pairs_of_one_length']} pairs of one length, "
        "residue by residue)"
    )
