import math

import numpy as np
import pytest

from foldwright.evaluation.peptides.distances import (
    dipeptide_divergence,
    frechet_distance,
    jensen_shannon,
    residue_divergence,
    scaled_wasserstein,
    wasserstein,
)
from foldwright.evaluation.peptides.packed import pack_peptides


def test_wasserstein_of_points_is_their_distance():
    assert wasserstein(np.array([1.0]), np.array([4.0])) == pytest.approx(3.0)
    assert wasserstein(np.array([0.0, 1.0]), np.array([1.0, 0.0])) == 0.0
    # half of the mass moves by 2
    assert wasserstein(np.array([0.0, 0.0]), np.array([0.0, 2.0])) == pytest.approx(1.0)
    # samples of other sizes: 1/3 of the mass moves by 3
    assert wasserstein(np.array([0.0]), np.array([0.0, 0.0, 3.0])) == pytest.approx(1.0)


def test_properties_are_in_spreads_of_the_real_ones():
    real = np.array([[0.0, 5.0], [2.0, 5.0]])  # spread 1; the second has none
    found = scaled_wasserstein(real + np.array([3.0, 2.0]), real)
    np.testing.assert_allclose(found, [3.0, 2.0])


def test_divergence_is_0_for_equal_and_1_bit_for_disjoint_sets():
    assert jensen_shannon(np.array([2, 2]), np.array([5, 5])) == 0.0
    assert jensen_shannon(np.array([3, 0]), np.array([0, 9])) == pytest.approx(1.0)
    # {1, 0} and {1/2, 1/2}: H(3/4, 1/4) - H(1/2, 1/2) / 2
    middle = -(0.75 * math.log2(0.75) + 0.25 * math.log2(0.25))
    assert jensen_shannon(np.array([1, 0]), np.array([1, 1])) == pytest.approx(middle - 0.5)


def test_residues_do_not_see_the_order_and_dipeptides_do():
    first, second = pack_peptides(["AKAKAK"]), pack_peptides(["AAAKKK"])
    assert residue_divergence(first, second) == 0.0
    assert dipeptide_divergence(first, second) > 0.3


def test_frechet_distance_of_a_shift_and_of_a_spread():
    generator = np.random.default_rng(0)
    real = generator.normal(size=(4000, 3)).clip(-2, 2)  # inside the cut at five spreads
    assert frechet_distance(real, real, 1) == pytest.approx(0.0, abs=1e-9)
    spread = real.std(axis=0)
    # one spread of the first feature (weight 1.8), one of the last (weight 0.7)
    assert frechet_distance(real + np.array([spread[0], 0, 0]), real, 1) == pytest.approx(1.8**2)
    assert frechet_distance(real + np.array([0, 0, spread[2]]), real, 1) == pytest.approx(0.7**2)
    # twice as wide: (2 - 1)² variances, up to the correction of np.cov
    centre = real.mean(axis=0)
    wide = centre + 2 * (real - centre)
    expected = 1.8**2 + 2 * 0.7**2
    assert frechet_distance(wide, real, 1) == pytest.approx(expected, rel=1e-3)


def test_a_feature_that_never_changes_does_not_divide_by_zero():
    real = np.array([[0.0, 1.0], [1.0, 1.0], [2.0, 1.0]])
    assert math.isfinite(frechet_distance(real + 1, real, 2))
