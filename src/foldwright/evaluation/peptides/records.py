"""The files of an evaluation of peptides: a row for each one, and a record of the set."""

import csv
import io
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from foldwright.evaluation.peptides.evaluation import PeptideSetScores
from foldwright.evaluation.peptides.reading import PeptideFileContent
from foldwright.runtime.files import write_atomic

PEPTIDE_SCORES_NAME = "peptide_scores.csv"
PEPTIDE_SUMMARY_NAME = "peptide_summary.json"


@dataclass(frozen=True)
class ScoreLine:
    """One line of the table on the screen.

    Attributes:
        key: name in the record; `label` is for people.
        here: value of the set; `beside` that of other sets by name.
        unit: `%` for shares, which are kept as numbers from 0 to 1.
    """

    key: str
    label: str
    here: float | None
    beside: dict[str, float | None]
    unit: str = ""


def score_lines(
    scores: PeptideSetScores, others: Mapping[str, PeptideSetScores]
) -> list[ScoreLine]:
    """Return the scores in the order in which people read them; what is missing is left out."""
    known = {name: dict(_values(other)) for name, other in others.items()}
    lines = []
    for key, (label, value, unit) in _values(scores):
        beside = {name: found[key][1] if key in found else None for name, found in known.items()}
        if value is not None or any(one is not None for one in beside.values()):
            lines.append(ScoreLine(key, label, value, beside, unit))
    return lines


def summary_of(
    content: PeptideFileContent, scores: PeptideSetScores, others: Mapping[str, PeptideSetScores]
) -> dict[str, Any]:
    """Return what `peptide_summary.json` holds."""
    return {
        "peptides": scores.peptides,
        "rejected": len(content.rejects),
        "valid": content.valid,
        "exact_length": content.exact_length,
        "scores": [asdict(line) for line in score_lines(scores, others)],
        "rejects": [
            {"place": problem.place, "reason": problem.message} for problem in content.rejects
        ],
    }


def write_peptide_tables(
    content: PeptideFileContent, scores: PeptideSetScores, summary: Mapping[str, Any], out: Path
) -> None:
    """Write both files into a folder, each whole or not at all.

    Raises:
        InputError: the folder cannot be written.
    """
    write_atomic(out / PEPTIDE_SCORES_NAME, _rows_text(content, scores))
    text = json.dumps(summary, indent=2, allow_nan=False, ensure_ascii=False)
    write_atomic(out / PEPTIDE_SUMMARY_NAME, text + "\n")


def _rows_text(content: PeptideFileContent, scores: PeptideSetScores) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["name", "sequence", *scores.columns])
    for peptide, *cells in zip(content.peptides, *scores.columns.values(), strict=True):
        writer.writerow([peptide.name, peptide.sequence, *map(_cell, cells)])
    return stream.getvalue()


def _cell(value: str | int | float) -> str:
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.6g}"
    return str(value)


_Line = tuple[str, tuple[str, float | None, str]]


def _values(scores: PeptideSetScores) -> Iterator[_Line]:
    """Key, and label, value and unit."""
    yield "unique", ("different sequences", scores.unique, "%")
    yield "mean_length", ("mean length", scores.mean_length, "")
    yield from _distance_values(scores)
    if scores.novelty is not None:
        novelty = scores.novelty
        yield "copies", ("copies of training peptides", novelty.copies, "%")
        yield "near", ("nearest training identity >= 0.8", novelty.near, "%")
        yield "mean_nearest", ("mean nearest training identity", novelty.mean_nearest, "")
    diversity = scores.diversity
    yield "internal_nearest", ("mean nearest identity in the set", diversity.mean_nearest, "")
    yield "mean_pair", ("mean identity of two peptides", diversity.mean_pair, "")
    yield "trigram_perplexity", ("trigram perplexity", scores.trigram_perplexity, "")
    yield "pseudo_perplexity", ("pseudo-perplexity", scores.pseudo_perplexity, "")
    yield "plddt", ("mean pLDDT", scores.plddt, "")
    for name, mean in scores.means.items():
        yield f"mean_{name}", (f"mean {name.replace('_', ' ')}", mean, "")
    for label, found in scores.activity.items():
        title = label.replace("_", " ")
        yield f"active_{label}", (f"predicted {title}", found.active, "%")


def _distance_values(scores: PeptideSetScores) -> Iterator[_Line]:
    found = scores.distances
    if found is None:
        return
    yield "auc", ("told from real peptides, AUC", found.auc, "")
    yield "auc_length_matched", ("the same at equal lengths", found.auc_length_matched, "")
    yield "frechet", ("Fréchet feature distance", found.frechet, "")
    yield "residue_divergence", ("residues, JSD (bits)", found.residue_divergence, "")
    yield "dipeptide_divergence", ("dipeptides, JSD (bits)", found.dipeptide_divergence, "")
    yield "length_wasserstein", ("lengths, Wasserstein", found.length_wasserstein, "")
    yield "property_wasserstein", ("properties, W/SD", found.property_wasserstein, "")
    for name, value in found.properties.items():
        yield f"w_{name}", (f"  {name.replace('_', ' ')}, W/SD", value, "")
