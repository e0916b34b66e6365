"""How well numbers tell two classes apart."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int8

FALSE_POSITIVE_RATE = 0.05
_LEAST_ZEROS = 20
_LEAST_EACH = 10


@dataclass(frozen=True)
class JudgeQuality:
    """What the probabilities of a label are worth, on peptides that were not learned from.

    Attributes:
        threshold: probability that 5 % of the first set's zeros exceed; None under 20 zeros.
        auc: area under the ROC curve on the second set; None under 10 ones or zeros.
        recall: share of the ones of the second set over the threshold.
        false_positives: share of its zeros over the threshold.
        positives: ones of the second set; `negatives` zeros.
    """

    threshold: float | None
    auc: float | None
    recall: float | None
    false_positives: float | None
    positives: int
    negatives: int


def roc_auc(positive: Bool[np.ndarray, " p"], scores: Float[np.ndarray, " p"]) -> float:
    """Return the area under the ROC curve: the chance that a positive scores above a negative.

    Ties count half (Mann-Whitney). Both classes must be there.
    """
    ordered = np.sort(scores)
    # mean rank of equal scores
    below, upto = (
        np.searchsorted(ordered, scores, "left"),
        np.searchsorted(ordered, scores, "right"),
    )
    ranks = (below + upto + 1) / 2
    count = int(positive.sum())
    return float((ranks[positive].sum() - count * (count + 1) / 2) / (count * (~positive).sum()))


def threshold_at(zeros: Float[np.ndarray, " z"]) -> float:
    """Return the least score that at most 5 % of the scores of zeros exceed."""
    return float(np.quantile(zeros, 1 - FALSE_POSITIVE_RATE, method="higher"))


def measure_judge(
    chosen_on: tuple[Int8[np.ndarray, " v"], Float[np.ndarray, " v"]],
    measured_on: tuple[Int8[np.ndarray, " t"], Float[np.ndarray, " t"]],
) -> JudgeQuality:
    """Choose a threshold on one set of labels (1, 0, -1 unknown) and scores, measure on another."""
    (first, first_scores), (labels, scores) = chosen_on, measured_on
    zeros = first_scores[first == 0]
    threshold = threshold_at(zeros) if len(zeros) >= _LEAST_ZEROS else None
    ones, others = labels == 1, labels == 0
    enough = min(ones.sum(), others.sum()) >= _LEAST_EACH
    known = ones | others
    return JudgeQuality(
        threshold=threshold,
        auc=roc_auc(ones[known], scores[known]) if enough else None,
        recall=_share_over(scores[ones], threshold),
        false_positives=_share_over(scores[others], threshold),
        positives=int(ones.sum()),
        negatives=int(others.sum()),
    )


def _share_over(scores: Float[np.ndarray, " s"], threshold: float | None) -> float | None:
    return None if threshold is None or not len(scores) else float((scores > threshold).mean())
