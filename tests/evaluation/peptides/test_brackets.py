from collections import Counter

import numpy as np
import pytest

from foldwright.evaluation.peptides.brackets import draw_by_composition, shuffle_residues
from foldwright.runtime.seeds import make_generator
from tests.evaluation.peptides.sample_peptides import MAGAININ, draw


def test_shuffled_peptides_keep_their_residues():
    peptides = [MAGAININ, "K", *draw(30, "AKLW", name="shuffle")]
    shuffled = shuffle_residues(peptides, make_generator(1))
    assert shuffled != peptides
    assert [Counter(one) for one in shuffled] == [Counter(one) for one in peptides]
    assert shuffled == shuffle_residues(peptides, make_generator(1))


def test_random_peptides_have_lengths_and_composition_of_the_given_ones():
    given = ["AAAK" * 3] * 3 + ["AAAKAAAK"]
    drawn = draw_by_composition(given, 3000, make_generator(2))
    lengths = Counter(len(one) for one in drawn)
    assert set(lengths) == {8, 12}
    assert lengths[12] / 3000 == pytest.approx(0.75, abs=0.03)
    letters = Counter("".join(drawn))
    assert set(letters) == {"A", "K"}
    assert letters["A"] / letters.total() == pytest.approx(0.75, abs=0.01)
    # nothing of the order is left
    pairs = np.mean([one[k : k + 2] == "KK" for one in drawn for k in range(len(one) - 1)])
    assert pairs == pytest.approx(1 / 16, abs=0.01)
