"""The files of an evaluation: `scores.csv` per design, `summary.json` for the set."""

import csv
import io
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from foldwright.evaluation.diversity import Diversity, measure_diversity
from foldwright.evaluation.folder import FolderEvaluation
from foldwright.evaluation.metrics import METRICS
from foldwright.evaluation.natural import load_natural
from foldwright.evaluation.scores import Value
from foldwright.evaluation.summary import Summary, summarise, summarise_by_length
from foldwright.runtime.files import write_atomic
from foldwright.runtime.partials import remove_partials

SCORES_NAME = "scores.csv"
SUMMARY_NAME = "summary.json"
SECONDARY_STRUCTURE_METHOD = "P-SEA, from C-alpha"


def scores_csv(evaluation: FolderEvaluation) -> str:
    """Return one line per design: its file, its chain and all scores; empty where missing."""
    rows: list[dict[str, Value]] = [
        {"file": design.file, "chain": design.chain.chain_id, **design.scores.row()}
        for design in evaluation.designs
    ]
    text = io.StringIO()
    if rows:
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows({key: _cell(value) for key, value in row.items()} for row in rows)
    return text.getvalue()


def summary_record(evaluation: FolderEvaluation) -> dict[str, Any]:
    """Return what `summary.json` holds.

    `gates` has one entry per gate: its value, the limit and whether it is passed. `metrics` are
    all averages beside their natural values, `by_length` the gates for each natural length bin.
    """
    natural = load_natural()
    scores = [design.scores for design in evaluation.designs]
    record: dict[str, Any] = {
        "designs": len(scores),
        "failed": len(evaluation.failures),
        "failures": [asdict(failure) for failure in evaluation.failures],
        "secondary_structure": SECONDARY_STRUCTURE_METHOD,
        "natural_reference": natural.provenance,
    }
    if not scores:
        return record
    summary = summarise(scores, natural)
    diversity = measure_diversity([design.ca for design in evaluation.designs])
    return (
        record
        | _summary_fields(summary, diversity)
        | {
            "by_length": [
                {
                    "shortest": part.shortest,
                    "longest": part.longest,
                    "designs": part.num_designs,
                    "gates": _gates(part),
                }
                for part in summarise_by_length(scores, natural)
            ]
        }
    )


def write_tables(evaluation: FolderEvaluation, record: dict[str, Any], out: Path) -> None:
    """Write `scores.csv` and `summary.json` into a folder, each whole or not at all.

    Args:
        evaluation: the designs.
        record: their `summary_record`.
        out: the folder; made if missing.
    """
    remove_partials(out)
    write_atomic(out / SCORES_NAME, scores_csv(evaluation))
    write_atomic(
        out / SUMMARY_NAME,
        json.dumps(record, indent=2, allow_nan=False, ensure_ascii=False) + "\n",
    )


def _summary_fields(summary: Summary, diversity: Diversity) -> dict[str, Any]:
    return {
        "shortest": summary.shortest,
        "longest": summary.longest,
        "passed": summary.passed,
        "gates": _gates(summary),
        "metrics": [asdict(line) for line in summary.lines],
        "diversity": asdict(diversity),
    }


def _gates(summary: Summary) -> dict[str, dict[str, Any]]:
    limits = {metric.key: metric.gate.limit for metric in METRICS if metric.gate is not None}
    return {
        line.key: {
            "value": line.value,
            "limit": limits[line.key],
            "rule": line.gate,
            "passed": line.passed,
        }
        for line in summary.lines
        if line.key in limits
    }


def _cell(value: Value) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
