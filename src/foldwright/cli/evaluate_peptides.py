"""The part of `foldwright evaluate` that scores files of peptides."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from cyclopts import Parameter

from foldwright.cli.exit_codes import DONE, SOME_FAILED
from foldwright.cli.output import emit
from foldwright.cli.progress import terminal_progress
from foldwright.data.peptide_structures import PeptideStructures
from foldwright.data.peptide_table import PeptideTable
from foldwright.evaluation.peptides.brackets import draw_by_composition, shuffle_residues
from foldwright.evaluation.peptides.drawing import draw_peptides
from foldwright.evaluation.peptides.evaluation import (
    PeptideJudges,
    PeptideReference,
    PeptideSetScores,
    evaluate_peptides,
)
from foldwright.evaluation.peptides.pseudo_perplexity import pseudo_perplexities
from foldwright.evaluation.peptides.reading import PeptideFileContent, read_peptides
from foldwright.evaluation.peptides.records import (
    PEPTIDE_SCORES_NAME,
    PEPTIDE_SUMMARY_NAME,
    ScoreLine,
    score_lines,
    summary_of,
    write_peptide_tables,
)
from foldwright.evaluation.peptides.sets import describe
from foldwright.models.peptide.classifier import ActivityClassifier, load_classifier
from foldwright.models.peptide.inputs import MASK_TOKEN
from foldwright.models.peptide.weights import load_encoder_weights
from foldwright.runtime.errors import InputError, Problem
from foldwright.runtime.seeds import make_generator

_UNSEEN_SPLITS = ("test_iid", "test")
_TRAINING_SPLIT = "train"


@dataclass(frozen=True)
class PeptideOptions:
    """How peptides are scored; folders of structures have none of this.

    Attributes:
        reference: Table of real peptides (CSV or FASTA). Its split train is what a generator
            learned from, test_iid or test what it did not; without splits it is taken for both.
        label: Compare with the peptides of the reference that have this activity.
        classifier: File that tells activities, bundled, or none.
        language_model: Weights of a masked language model for the pseudo-perplexity, bundled, or
            none.
        structures: File of predicted structures (.npz) by sequence, for the mean pLDDT.
        brackets: Also score the unseen peptides shuffled, and random ones of their composition.
        picture: Also draw lengths, composition and charge into this PNG or SVG file.
    """

    reference: Path | None = None
    label: str | None = None
    classifier: str = "bundled"
    language_model: str = "none"
    structures: Path | None = None
    brackets: Annotated[bool, Parameter(negative="")] = False
    picture: Path | None = None


def evaluate_peptide_file(path: Path, out: Path, options: PeptideOptions, as_json: bool) -> int:
    """Score a FASTA or CSV file, write the tables, print them, and return the exit code."""
    content = read_peptides(path)
    sequences = [one.sequence for one in content.peptides]
    reference = _read_reference(options)
    classifier = None if options.classifier == "none" else load_classifier(options.classifier)
    judges = _judges(options, classifier, sequences)
    scores = evaluate_peptides(sequences, reference, judges, progress=terminal_progress)
    others = _score_others(reference, judges, brackets=options.brackets)
    summary = summary_of(content, scores, others) | {"classifier": _quality(classifier)}
    write_peptide_tables(content, scores, summary, out)
    if options.picture is not None:
        draw_peptides(describe(sequences), reference.real, options.picture)
    shown = summary if as_json else _for_people(content, scores, others, classifier, out)
    emit(shown, as_json)
    return SOME_FAILED if content.rejects else DONE


def _read_reference(options: PeptideOptions) -> PeptideReference:
    if options.reference is None:
        if options.label is not None:
            raise InputError(Problem("--label", "needs --reference, a table with that label"))
        return PeptideReference.build([], [])
    table = PeptideTable.read(options.reference)
    wanted = np.ones(len(table), dtype=bool)
    if options.label is not None:
        if options.label not in table.label_names:
            found = ", ".join(table.label_names) or "none"
            message = f"has no label {options.label!r}; its labels are: {found}"
            raise InputError(Problem(str(options.reference), message))
        wanted = table.labels[:, table.label_names.index(options.label)] == 1
    return PeptideReference.build(*_parts(table, wanted))


def _parts(table: PeptideTable, wanted: np.ndarray) -> tuple[list[str], list[str]]:
    """Real peptides no model has seen, and those that it has."""
    rows = np.flatnonzero(wanted).tolist()
    splits = {table.split[row] for row in rows}
    unseen = next((name for name in _UNSEEN_SPLITS if name in splits), None)
    if unseen is None and _TRAINING_SPLIT not in splits:
        everything = [table.sequences[row] for row in rows]
        return everything, everything
    return (
        [table.sequences[row] for row in rows if table.split[row] == unseen],
        [table.sequences[row] for row in rows if table.split[row] == _TRAINING_SPLIT],
    )


def _judges(
    options: PeptideOptions, classifier: ActivityClassifier | None, sequences: Sequence[str]
) -> PeptideJudges:
    measure = None
    if options.language_model != "none":
        encoder, _ = load_encoder_weights(options.language_model)
        measure = partial(
            pseudo_perplexities,
            predict=encoder.predict,
            hidden_token=MASK_TOKEN,
            progress=terminal_progress,
        )
    if classifier is None:
        return PeptideJudges(pseudo_perplexity=measure, plddt=_confidences(options, sequences))
    known = [one for one in classifier.quality if one.threshold is not None]
    return PeptideJudges(
        activity=classifier.predict,
        thresholds={one.label: one.threshold for one in known if one.threshold is not None},
        pseudo_perplexity=measure,
        plddt=_confidences(options, sequences),
    )


def _confidences(options: PeptideOptions, sequences: Sequence[str]) -> dict[str, float]:
    if options.structures is None:
        return {}
    known = PeptideStructures.read(options.structures)
    found = {one: known.get(one) for one in sequences}
    values = {one: float(kept.plddt.mean()) for one, kept in found.items() if kept is not None}
    if not values:
        message = "has no structure of any of these peptides; predict them, or leave it out"
        raise InputError(Problem(str(options.structures), message))
    return values


def _score_others(
    reference: PeptideReference, judges: PeptideJudges, *, brackets: bool
) -> dict[str, PeptideSetScores]:
    """Scores of real peptides, half against half, and perhaps of what a set should be better than.

    Raises:
        InputError: brackets without unseen real peptides.
    """
    if reference.real is None:
        if brackets:
            message = "needs --reference with at least 40 peptides that were not trained on"
            raise InputError(Problem("--brackets", message))
        return {}
    real = reference.real.sequences
    half = reference.real.halves()[0].sequences
    asked = PeptideJudges(judges.activity, judges.thresholds, judges.pseudo_perplexity)
    score = partial(
        evaluate_peptides, reference=reference, judges=asked, progress=terminal_progress
    )
    others = {"real": score(half, is_half=True)}
    if brackets:
        others["shuffled"] = score(shuffle_residues(real, make_generator(0, "shuffled")))
        drawn = draw_by_composition(real, len(real), make_generator(0, "random"))
        others["random"] = score(drawn)
    return others


def _quality(classifier: ActivityClassifier | None) -> dict[str, Any] | None:
    if classifier is None:
        return None
    return {
        one.label: {
            "auc": one.auc,
            "threshold": one.threshold,
            "recall": one.recall,
            "false_positives": one.false_positives,
            "tested_on": [one.positives, one.negatives],
            "trained_on": [one.train_positives, one.train_negatives],
        }
        for one in classifier.quality
    }


def _for_people(
    content: PeptideFileContent,
    scores: PeptideSetScores,
    others: Mapping[str, PeptideSetScores],
    classifier: ActivityClassifier | None,
    out: Path,
) -> dict[str, Any]:
    areas = {} if classifier is None else {one.label: one.auc for one in classifier.quality}
    shown: dict[str, Any] = {
        "peptides": scores.peptides,
        "rejected": len(content.rejects),
        "valid": f"{100 * content.valid:.1f} %",
    }
    if content.exact_length is not None:
        shown["of_the_length_asked_for"] = f"{100 * content.exact_length:.1f} %"
    shown["scores"] = list(_rows(score_lines(scores, others), areas))
    shown["rejects"] = [
        {"place": problem.place, "reason": problem.message} for problem in content.rejects
    ]
    return shown | {"table": out / PEPTIDE_SCORES_NAME, "summary": out / PEPTIDE_SUMMARY_NAME}


def _rows(lines: Sequence[ScoreLine], areas: dict[str, float | None]) -> Iterator[dict[str, str]]:
    """Rows of the screen's table; a predicted activity has the judge's own AUC beside it."""
    for line in lines:
        row = {"score": line.label, "here": _number(line.here, line.unit)}
        row |= {name: _number(value, line.unit) for name, value in line.beside.items()}
        label = line.key.removeprefix("active_")
        if areas:
            area = areas.get(label) if label != line.key else None
            row["judge's_AUC"] = "" if label == line.key else _number(area, "")
        yield row


def _number(value: float | None, unit: str) -> str:
    if value is None:
        return "-"
    return f"{100 * value:.1f} %" if unit == "%" else f"{value:.4g} {unit}".rstrip()
