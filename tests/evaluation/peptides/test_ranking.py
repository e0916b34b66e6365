import numpy as np
import pytest

from foldwright.evaluation.peptides.ranking import measure_judge, roc_auc, threshold_at


def test_area_counts_pairs_and_ties_half():
    positive = np.array([True, True, False, False])
    assert roc_auc(positive, np.array([3.0, 4.0, 1.0, 2.0])) == 1.0
    assert roc_auc(positive, np.array([1.0, 2.0, 3.0, 4.0])) == 0.0
    assert roc_auc(positive, np.array([1.0, 1.0, 1.0, 1.0])) == 0.5
    assert roc_auc(positive, np.array([2.0, 4.0, 1.0, 3.0])) == 0.75
    assert roc_auc(positive, np.array([2.0, 4.0, 2.0, 3.0])) == 0.625


def test_the_threshold_is_exceeded_by_at_most_five_per_cent():
    zeros = np.arange(1000) / 1000  # the next lower value would be exceeded by 50
    assert (zeros > threshold_at(zeros)).mean() == pytest.approx(0.049)
    assert (np.zeros(50) > threshold_at(np.zeros(50))).sum() == 0


def test_a_judge_is_measured_on_other_peptides_than_its_threshold():
    chosen = np.zeros(100, dtype=np.int8), np.arange(100) / 100
    labels = np.array([1] * 10 + [0] * 10 + [-1] * 5, dtype=np.int8)
    scores = np.array([0.99] * 8 + [0.1] * 2 + [0.5] * 9 + [0.97] + [1.0] * 5)
    found = measure_judge(chosen, (labels, scores))
    assert found.threshold == 0.95
    assert (found.recall, found.false_positives) == (0.8, 0.1)
    assert (found.positives, found.negatives) == (10, 10)
    # of 100 pairs 8 * 10 are right; those at 0.1 lose all
    assert found.auc == pytest.approx(0.8)


def test_too_few_examples_give_no_number():
    few = np.array([1] * 9 + [0] * 19, dtype=np.int8), np.arange(28) / 28
    found = measure_judge(few, few)
    assert found.threshold is None
    assert found.auc is None
    assert found.recall is None
