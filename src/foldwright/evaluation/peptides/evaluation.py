"""Everything about one set of peptides: validity, novelty, distances, and what judges say."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Float64

from foldwright.evaluation.peptides.packed import PackedPeptides, pack_peptides
from foldwright.evaluation.peptides.properties import PROPERTIES
from foldwright.evaluation.peptides.sets import (
    DescribedPeptides,
    DistanceScores,
    DiversityScores,
    NoveltyScores,
    describe,
    measure_distances,
    measure_half,
    measure_novelty,
    measure_set_diversity,
)
from foldwright.evaluation.peptides.trigrams import TrigramModel
from foldwright.runtime.progress import ProgressFactory, silent

LEAST_FOR_DISTANCES = 20
"""Peptides of a set under which distances between sets say nothing."""

ActivityJudge = Callable[[Sequence[str]], Mapping[str, Float64[np.ndarray, " p"]]]
"""Gives the probability of each label for each sequence."""

PeptideMeasure = Callable[[Sequence[str]], Float[np.ndarray, " p"]]
"""Gives one number for each sequence; NaN where it has none."""


@dataclass(frozen=True, eq=False)
class PeptideReference:
    """Real peptides: `real` that no model was trained on, `training` that it was trained on."""

    real: DescribedPeptides | None
    training: PackedPeptides | None
    trigrams: TrigramModel | None

    @classmethod
    def build(cls, real: Sequence[str], training: Sequence[str]) -> "PeptideReference":
        """Describe both sets; of an empty one nothing is compared."""
        packed = pack_peptides(training) if training else None
        return cls(
            describe(real) if len(real) >= 2 * LEAST_FOR_DISTANCES else None,
            packed,
            None if packed is None else TrigramModel(packed),
        )


@dataclass(frozen=True)
class PeptideJudges:
    """What is asked about every peptide besides its residues.

    Attributes:
        activity: probabilities by label.
        thresholds: probability from which a peptide counts as active, by label.
        pseudo_perplexity: how unexpected the residues are to a masked language model.
        plddt: confidence of a predicted structure, 0 to 100, by sequence.
    """

    activity: ActivityJudge | None = None
    thresholds: Mapping[str, float] = field(default_factory=dict)
    pseudo_perplexity: PeptideMeasure | None = None
    plddt: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class ActivityScores:
    """What a judge says about one label: share over its threshold, and the mean probability."""

    active: float | None
    mean_probability: float


@dataclass(frozen=True, eq=False)
class PeptideSetScores:
    """Scores of a set; None where there is nothing to compare with or to ask.

    Attributes:
        peptides: number of peptides.
        unique: share of different sequences.
        mean_length: in residues.
        means: mean of each property.
        trigram_perplexity: under three residues of the training peptides.
        activity: by label; `columns` hold what was found for each peptide, by name.
    """

    peptides: int
    unique: float
    mean_length: float
    means: dict[str, float]
    diversity: DiversityScores
    distances: DistanceScores | None
    novelty: NoveltyScores | None
    trigram_perplexity: float | None
    activity: dict[str, ActivityScores]
    pseudo_perplexity: float | None
    plddt: float | None
    columns: dict[str, Sequence[str | int | float]]


_NO_JUDGES = PeptideJudges()


def evaluate_peptides(
    sequences: Sequence[str],
    reference: PeptideReference,
    judges: PeptideJudges = _NO_JUDGES,
    *,
    is_half: bool = False,
    progress: ProgressFactory = silent,
) -> PeptideSetScores:
    """Score a set of peptides of the 20 residues.

    Args:
        sequences: one or more; repeats count as often as they are there.
        reference: real peptides to compare with.
        judges: what else is asked.
        is_half: the set is the first half of `reference.real` (see `DescribedPeptides.halves`),
            and is compared with the other half alone.
        progress: counts peptides whose nearest training peptide is found.

    Raises:
        InputError: a letter is none of the 20 residues.
    """
    set_ = describe(sequences)
    novelty = None
    if reference.training is not None:
        novelty = measure_novelty(set_, reference.training, progress)
    trigrams = reference.trigrams
    columns, activity, perplexity, plddt = _ask(set_, judges)
    if novelty is not None:
        columns["nearest_training_identity"] = novelty.nearest
    return PeptideSetScores(
        peptides=len(set_),
        unique=len(set(sequences)) / len(sequences),
        mean_length=float(set_.packed.lengths.mean()),
        means=dict(zip(PROPERTIES, set_.properties.mean(axis=0).tolist(), strict=True)),
        diversity=measure_set_diversity(set_),
        distances=_distances(set_, reference.real, is_half),
        novelty=novelty,
        trigram_perplexity=None if trigrams is None else trigrams.perplexity(set_.packed),
        activity=activity,
        pseudo_perplexity=perplexity,
        plddt=plddt,
        columns=columns,
    )


def _distances(
    peptides: DescribedPeptides, real: DescribedPeptides | None, is_half: bool
) -> DistanceScores | None:
    if real is None or len(peptides) < LEAST_FOR_DISTANCES:
        return None
    return (
        measure_half(peptides, real.halves()[1]) if is_half else measure_distances(peptides, real)
    )


def _ask(
    peptides: DescribedPeptides, judges: PeptideJudges
) -> tuple[
    dict[str, Sequence[str | int | float]], dict[str, ActivityScores], float | None, float | None
]:
    """Columns of single peptides, activities, mean pseudo-perplexity and mean confidence."""
    columns: dict[str, Sequence[str | int | float]] = {
        "length": peptides.packed.lengths.tolist(),
        **dict(zip(PROPERTIES, peptides.properties.T.tolist(), strict=True)),
    }
    activity = {}
    if judges.activity is not None:
        for label, chances in judges.activity(peptides.sequences).items():
            threshold = judges.thresholds.get(label)
            share = None if threshold is None else float((chances > threshold).mean())
            activity[label] = ActivityScores(share, float(chances.mean()))
            columns[f"probability_{label}"] = chances.tolist()
    perplexity = None
    if judges.pseudo_perplexity is not None:
        found = judges.pseudo_perplexity(peptides.sequences)
        columns["pseudo_perplexity"] = found.tolist()
        perplexity = float(np.nanmean(found))
    plddt = None
    if judges.plddt:
        values = np.array([judges.plddt.get(one, np.nan) for one in peptides.sequences])
        columns["plddt"] = values.tolist()
        plddt = None if np.isnan(values).all() else float(np.nanmean(values))
    return columns, activity, perplexity, plddt
