"""Whole sets: real, copied, shuffled, random; and what judges are asked."""

import numpy as np
import pytest

from foldwright.evaluation.peptides.brackets import shuffle_residues
from foldwright.evaluation.peptides.evaluation import (
    PeptideJudges,
    PeptideReference,
    PeptideSetScores,
    evaluate_peptides,
)
from foldwright.runtime.seeds import make_generator
from tests.evaluation.peptides.sample_peptides import draw, draw_alternating


@pytest.fixture(scope="module")
def reference() -> PeptideReference:
    return PeptideReference.build(
        draw_alternating(100, name="real"), draw_alternating(200, name="training")
    )


@pytest.fixture(scope="module")
def sets(reference: PeptideReference) -> dict[str, PeptideSetScores]:
    real = reference.real
    assert real is not None
    drawn = {
        "alike": draw_alternating(80, name="alike"),
        "copies": draw_alternating(200, name="training")[:40],
        "shuffled": shuffle_residues(draw_alternating(80, name="alike"), make_generator(1)),
        "random": draw(80, "ACDEFGHIKLMNPQRSTVWY", name="random"),
    }
    scores = {name: evaluate_peptides(one, reference) for name, one in drawn.items()}
    half = real.halves()[0].sequences
    return scores | {"real": evaluate_peptides(half, reference, is_half=True)}


def distances(sets: dict[str, PeptideSetScores], key: str) -> dict[str, float]:
    return {name: getattr(one.distances, key) for name, one in sets.items()}


def test_peptides_alike_are_not_told_from_real_ones_and_others_are(sets):
    area = distances(sets, "auc")
    assert area["real"] < 0.68
    assert area["alike"] < 0.68
    assert area["shuffled"] > 0.9
    assert area["random"] > 0.97


def test_every_distance_grows_from_real_to_random(sets):
    for key in ("frechet", "dipeptide_divergence", "property_wasserstein"):
        found = distances(sets, key)
        assert found["alike"] < found["shuffled"] < found["random"], key
    residues = distances(sets, "residue_divergence")
    assert residues["shuffled"] == pytest.approx(residues["alike"], rel=1e-9)
    assert residues["random"] > 10 * residues["alike"]
    trigrams = {name: one.trigram_perplexity for name, one in sets.items()}
    assert trigrams["alike"] < trigrams["shuffled"] < trigrams["random"]


def test_a_copier_is_found_out_by_novelty(sets):
    copies, fresh = sets["copies"].novelty, sets["random"].novelty
    assert (copies.copies, copies.near, copies.mean_nearest) == (1.0, 1.0, 1.0)
    assert (fresh.copies, fresh.near) == (0.0, 0.0)
    assert fresh.mean_nearest < 0.5


def test_repeats_lower_uniqueness_and_raise_internal_identity(reference):
    scores = evaluate_peptides(["KLKLKLKL"] * 3 + ["GGSGGSGG"], PeptideReference.build([], []))
    assert scores.unique == 0.5
    assert scores.diversity.mean_nearest == pytest.approx(0.75)
    assert scores.distances is None
    assert scores.novelty is None
    assert scores.trigram_perplexity is None
    alone = evaluate_peptides(["KLKLKLKL"], reference)
    assert alone.diversity.mean_nearest is None
    assert alone.distances is None
    assert alone.novelty is not None


def test_halves_share_nothing_and_do_not_depend_on_the_order():
    real = sorted(set(draw_alternating(90, name="real")))
    forward = PeptideReference.build(real, []).real.halves()
    backward = PeptideReference.build(real[::-1], []).real.halves()
    parts = [set(half.sequences) for half in forward]
    assert parts == [set(half.sequences) for half in backward]
    assert not parts[0] & parts[1]
    assert parts[0] | parts[1] == set(real)
    assert abs(len(forward[0]) - len(forward[1])) <= 1


def test_judges_are_asked_about_every_peptide():
    asked: list[str] = []

    def chance(sequences):
        asked.extend(sequences)
        return {"active": np.array([0.1, 0.6, 0.9]), "rare": np.array([0.2, 0.2, 0.2])}

    judges = PeptideJudges(
        activity=chance,
        thresholds={"active": 0.6},
        pseudo_perplexity=lambda sequences: np.array([5.0, np.nan, 7.0]),
        plddt={"KLK": 80.0, "AAA": 60.0},
    )
    scores = evaluate_peptides(["KLK", "GGG", "AAA"], PeptideReference.build([], []), judges)
    assert asked == ["KLK", "GGG", "AAA"]
    assert scores.activity["active"].active == pytest.approx(1 / 3)  # 0.6 is not over it
    assert scores.activity["active"].mean_probability == pytest.approx(1.6 / 3)
    assert scores.activity["rare"].active is None
    assert scores.pseudo_perplexity == 6.0
    assert scores.plddt == 70.0
    assert scores.columns["probability_active"] == [0.1, 0.6, 0.9]
    assert scores.columns["plddt"][0] == 80.0
    assert np.isnan(scores.columns["plddt"][1])
