import numpy as np
import pytest
import torch

from foldwright.evaluation.peptides.discriminator import discriminator_auc, match_lengths


def features(count: int, shift: float, seed: int) -> np.ndarray:
    values = np.random.default_rng(seed).normal(size=(count, 30))
    values[:, :10] += shift / 10**0.5
    return values


def test_equal_spreads_are_not_told_apart():
    assert discriminator_auc(features(250, 0, 1), features(350, 0, 2)) == pytest.approx(
        0.5, abs=0.09
    )


def test_a_shift_is_told_by_as_much_as_it_can_be():
    # the best possible area for a shift of d spreads is Phi(d / sqrt 2)
    far = discriminator_auc(features(120, 0, 1), features(120, 4.0, 2))
    near = discriminator_auc(features(300, 0, 1), features(300, 1.0, 2))
    assert far > 0.97  # 0.998 is best
    assert 0.68 < near < 0.79  # 0.76 is best


def test_equal_sets_give_equal_numbers_and_the_global_generator_stays():
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    first = discriminator_auc(features(60, 0, 1), features(60, 1, 2))
    assert torch.rand(1) == expected
    assert first == discriminator_auc(features(60, 0, 1), features(60, 1, 2))


def test_few_peptides_give_no_number():
    assert discriminator_auc(features(19, 0, 1), features(100, 0, 2)) is None


def test_matched_lengths_are_equal_histograms_of_all_that_fit():
    real, generated = np.array([5, 5, 5, 6, 9]), np.array([6, 6, 5, 5, 7, 7])
    first, second = match_lengths(real, generated)
    assert np.sort(real[first]).tolist() == [5, 5, 6]
    assert np.sort(generated[second]).tolist() == [5, 5, 6]
    assert len(set(first)) == len(first)
