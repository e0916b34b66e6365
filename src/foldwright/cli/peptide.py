"""`foldwright peptide`: new peptides."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from foldwright.cli.exit_codes import DONE, SOME_FAILED
from foldwright.cli.output import emit
from foldwright.cli.progress import terminal_progress
from foldwright.evaluation.peptides.properties import PROPERTIES, measure_properties
from foldwright.evaluation.peptides.reading import read_peptides
from foldwright.models.peptide.classifier import ActivityClassifier, load_classifier
from foldwright.models.peptide.peptide_files import FASTA_FILE, TABLE_FILE, PeptideRecord
from foldwright.models.peptide.peptide_settings import PeptideSettings
from foldwright.models.peptide.sample import PeptideReport, generate_peptides
from foldwright.models.peptide.weights import load_peptide_weights
from foldwright.runtime.device import select_device
from foldwright.runtime.errors import InputError

SHOWN = 20
"""Peptides on the screen; the files and --json hold all of them."""

_DEFAULTS = PeptideSettings.model_validate({})


def peptide_command(
    *,
    out: Path,
    settings: Annotated[PeptideSettings, Parameter(name="*")] = _DEFAULTS,
    avoid: Path | None = None,
    weights: str = "bundled",
    classifier: str = "bundled",
    device: str = "auto",
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Make new peptides; run again to go on after a stop, or with a larger --num to add.

    Examples:
        foldwright peptide --activity antimicrobial --length 12-30 --num 1000 --out peptides/
        foldwright peptide --activity antifungal --not hemolytic --guidance 2 --seed 7 --out safe/
        foldwright peptide --template KXXLLXXKLLXX --num 20 --out fixed/
        foldwright peptide --analogue-of GIGKFLHSAKKFGKAFVGEIMNS --similarity 0.8 --out close/

    Args:
        out: Folder for peptides.fasta, peptides.csv, peptides.json and run.json.
        settings: What to make.
        avoid: Peptides that must not come out, as FASTA or as CSV with a column sequence.
        weights: File (.safetensors with its card), or bundled.
        classifier: File that tells activities for the table, bundled, or none.
        device: auto, cpu, cuda, cuda:1 or mps.
        as_json: Print one JSON object.
    """
    place = select_device(device)
    avoided = () if avoid is None else _read_avoided(avoid)
    judge = None if classifier == "none" else load_classifier(classifier)
    model = load_peptide_weights(weights).to(place)
    asked = (*settings.activity, *settings.excluded)
    report = generate_peptides(
        model,
        settings,
        out,
        device=place,
        avoid=avoided,
        score=lambda sequences: _scores(sequences, judge, asked),
        progress=terminal_progress,
    )
    emit(_summary(out, report, judge, complete=as_json), as_json, title="peptides")
    return SOME_FAILED if report.failed else DONE


def _read_avoided(path: Path) -> tuple[str, ...]:
    """Peptides of a file; one that cannot be read might come out after all, so none may be bad."""
    content = read_peptides(path)
    if content.rejects:
        raise InputError(list(content.rejects))
    return tuple(one.sequence for one in content.peptides)


def _scores(
    sequences: Sequence[str], judge: ActivityClassifier | None, asked: Sequence[str]
) -> list[dict[str, Any]]:
    """Properties, and probabilities of the activities that were asked for or excluded."""
    values = measure_properties(sequences).tolist()
    rows = [dict(zip(PROPERTIES, row, strict=True)) for row in values]
    answers = {} if judge is None else judge.predict(sequences)
    for label in asked:
        for row, probability in zip(rows, answers.get(label, ()), strict=False):
            row[f"p_{label}"] = float(probability)
    return [{name: round(value, 4) for name, value in row.items()} for row in rows]


def _summary(
    out: Path, report: PeptideReport, judge: ActivityClassifier | None, *, complete: bool
) -> dict[str, Any]:
    rows = [_row(record, complete=complete) for record in report.records]
    probabilities = {
        name.removeprefix("p_")
        for record in report.records
        for name in record.scores
        if name.startswith("p_")
    }
    quality = {} if judge is None else {one.label: one.auc for one in judge.quality}
    result = {
        "peptides": rows if complete else rows[:SHOWN],
        "done": len(rows) - len(report.failed),
        "failed": len(report.failed),
        "there_before": report.resumed,
        "drawn_again": report.rejected,
        "known_peptides": _known_text(report),
        "held_out_auc_of_p": {name: quality.get(name) for name in sorted(probabilities)},
        "fasta": out / FASTA_FILE,
        "table": out / TABLE_FILE,
    }
    return {key: value for key, value in result.items() if value != {}}


def _known_text(report: PeptideReport) -> str:
    """Whether training peptides can be among the results."""
    if report.seen is None:
        return "not compared: these weights have no list of the peptides they were trained on"
    if not report.seen:
        return "let pass"
    return f"none: compared with {report.seen} training peptides"


def _row(record: PeptideRecord, *, complete: bool) -> dict[str, Any]:
    shown: Mapping[str, Any] = record.scores
    if not complete:
        shown = {
            name: value
            for name, value in record.scores.items()
            if name.startswith("p_") or name in ("charge", "hydrophobic_moment")
        }
    row = {"name": record.name, "sequence": record.sequence, "length": record.length, **shown}
    return row if record.status == "done" else {**row, "reason": record.reason}
