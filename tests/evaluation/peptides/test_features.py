import numpy as np
import pytest

from foldwright.evaluation.peptides.features import (
    NUM_COMPOSITION,
    set_features,
    telling_features,
)
from foldwright.evaluation.peptides.packed import pack_peptides
from foldwright.evaluation.peptides.properties import measure_properties, residue_scales
from foldwright.sequence.residues import RESIDUES
from tests.evaluation.peptides.sample_peptides import draw

NUM_SCALES = 5


def both(sequences: list[str]) -> tuple[np.ndarray, np.ndarray]:
    packed, properties = pack_peptides(sequences), measure_properties(sequences)
    return set_features(packed, properties), telling_features(packed, properties)


def test_a_peptide_has_the_same_features_beside_a_longer_one():
    peptides = ["ACDEFGHIK", "K", "KL", "W" * 50, *draw(20, RESIDUES, name="features")]
    together = both(peptides)
    for place, peptide in enumerate(peptides):
        for all_rows, alone in zip(together, both([peptide]), strict=True):
            np.testing.assert_allclose(all_rows[place], alone[0], atol=1e-12)
    assert all(np.isfinite(rows).all() for rows in together)


def test_shuffling_changes_the_order_columns_alone():
    # of the properties the moment and the instability see the order
    rows, _ = both(["KKKKLLLL", "KLKLKLKL"])
    same = np.isclose(rows[0], rows[1], atol=1e-9)
    seen = np.flatnonzero(~same[:NUM_COMPOSITION])
    assert set(seen) <= {20 + 2, 20 + 3}
    assert not same[NUM_COMPOSITION:].all()


def test_autocorrelation_is_that_of_the_centred_scale():
    peptide = "KLKLKLKLKL"
    rows, _ = both([peptide])
    values = residue_scales()[[RESIDUES.index(one) for one in peptide]]
    centred = values - values.mean(axis=0)
    lag_1, lag_2 = (
        rows[0, NUM_COMPOSITION + k * NUM_SCALES : NUM_COMPOSITION + (k + 1) * NUM_SCALES]
        for k in (0, 1)
    )
    np.testing.assert_allclose(lag_1, (centred[:-1] * centred[1:]).mean(axis=0))
    np.testing.assert_allclose(lag_1, -lag_2)  # K and L take turns


def test_halves_differ_by_the_difference_of_their_means():
    rows, _ = both(["KKKLLL"])
    scales = residue_scales()
    expected = scales[RESIDUES.index("K")] - scales[RESIDUES.index("L")]
    np.testing.assert_allclose(rows[0, -NUM_SCALES:], expected)


def test_a_helix_has_its_moment_at_100_degrees_and_a_strand_at_160():
    helix, strand = (
        "".join("L" if np.cos(np.deg2rad(angle * k)) > 0 else "K" for k in range(18))
        for angle in (100, 160)
    )
    rows, _ = both([helix, strand])
    helical, extended = (rows[:, NUM_COMPOSITION + 4 * NUM_SCALES + k] for k in (0, 2))
    assert helical[0] > 2 * helical[1]
    assert extended[1] > 2 * extended[0]


def test_patterns_count_neighbours_ends_and_repeats():
    _, rows = both(["AAAK", "AKAA"])
    pairs = rows[:, 58 : 58 + 400]
    place = 20 * RESIDUES.index("A") + RESIDUES.index("A")
    np.testing.assert_allclose(pairs[:, place], np.sqrt([2 / 3, 1 / 3]))
    # the last columns: entropy, different residues, repeats
    assert rows[0, -3] == pytest.approx(-(0.75 * np.log(0.75) + 0.25 * np.log(0.25)))
    np.testing.assert_allclose(rows[:, -2], 0.5)
    np.testing.assert_allclose(rows[:, -1], [2 / 3, 1 / 3])
