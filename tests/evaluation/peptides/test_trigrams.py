import numpy as np
import pytest

from foldwright.evaluation.peptides.packed import pack_peptides
from foldwright.evaluation.peptides.trigrams import TrigramModel
from tests.evaluation.peptides.sample_peptides import draw


def test_chances_add_up_to_one_after_any_two_residues():
    model = TrigramModel(pack_peptides(["ACDEF", "AAAA"]))
    np.testing.assert_allclose(model._chances.sum(axis=-1), 1.0)
    assert (model._chances > 0).all()


def test_what_always_follows_has_the_chance_worked_out_by_hand():
    # in AAAA all residues are A: 0.7 + 0.2 + 0.09 + 0.01 / 20 in every context that was seen
    model = TrigramModel(pack_peptides(["AAAA"]))
    assert model.perplexity(pack_peptides(["AAA"])) == pytest.approx(1 / (0.99 + 0.01 / 20))


def test_the_order_counts_and_other_residues_surprise():
    training = pack_peptides(["AKAKAKAKAK"] * 3)
    model = TrigramModel(training)
    turns, blocks, other = (
        model.perplexity(pack_peptides([one])) for one in ("AKAKAK", "AAAKKK", "WWWWWW")
    )
    assert turns < 1.2 < 3 < blocks < other
    assert other > 100


def test_residues_without_order_are_as_surprising_as_guessing():
    letters = "ACDEFGHIKLMNPQRSTVWY"
    model = TrigramModel(pack_peptides(draw(8000, letters, name="training")))
    fresh = pack_peptides(draw(2000, letters, name="fresh"))
    assert model.perplexity(fresh) == pytest.approx(20.0, abs=0.8)
