"""`foldwright design`: new protein backbones."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from foldwright.cli.exit_codes import DONE, SOME_FAILED
from foldwright.cli.output import emit
from foldwright.cli.progress import terminal_progress
from foldwright.evaluation.scores import score_structure
from foldwright.models.backbone.design_files import SCORES_FILE, DesignRecord
from foldwright.models.backbone.design_settings import DesignSettings
from foldwright.models.backbone.sample import DesignReport, design
from foldwright.models.backbone.weights import load_weights
from foldwright.runtime.allocator import keep_freed_memory
from foldwright.runtime.device import select_device
from foldwright.structure.records import Structure

SHOWN = ("bond_share", "clashes_36", "helix", "strand", "radius_of_gyration", "rg_in_band")
"""Scores in the table on the screen; scores.csv and --json hold all of them."""

_DEFAULTS = DesignSettings.model_validate({})


def design_command(
    *,
    out: Path,
    settings: Annotated[DesignSettings, Parameter(name="*")] = _DEFAULTS,
    weights: str = "bundled",
    device: str = "auto",
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Design protein backbones; run again to go on after a stop, or with a larger --num to add.

    Examples:
        foldwright design --length 100 --num 4 --out designs/
        foldwright design --length 80-120 --num 20 --seed 7 --sampler ddpm --out more/

    Args:
        out: Folder for the structures (mmCIF and PDB), scores.csv and run.json.
        settings: What to design.
        weights: File (.safetensors with its card, or a Genie .ckpt), or bundled.
        device: auto, cpu, cuda, cuda:1 or mps.
        as_json: Print one JSON object.
    """
    place = select_device(device)
    keep_freed_memory()
    model = load_weights(weights)
    report = design(
        model.to(place),
        settings,
        out,
        device=place,
        score=_scores,
        progress=terminal_progress,
    )
    emit(_summary(out, report, complete=as_json), as_json, title="designs")
    return SOME_FAILED if report.failed else DONE


def _scores(structure: Structure) -> Mapping[str, Any]:
    return score_structure(structure).row()


def _summary(out: Path, report: DesignReport, *, complete: bool) -> dict[str, Any]:
    return {
        "designs": [_row(record, complete=complete) for record in report.records],
        "done": len(report.records) - len(report.failed),
        "failed": len(report.failed),
        "there_before": report.resumed,
        "structures": out,
        "scores": out / SCORES_FILE,
    }


def _row(record: DesignRecord, *, complete: bool) -> dict[str, Any]:
    scores = record.scores if complete else {key: record.scores.get(key) for key in SHOWN}
    row = {"name": record.name, "length": record.length, **scores}
    return row if record.status == "done" else {**row, "reason": record.reason}
