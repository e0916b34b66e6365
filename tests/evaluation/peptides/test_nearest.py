import numpy as np
import pytest
import torch

from foldwright.evaluation.peptides.edit_distance import pair_distances
from foldwright.evaluation.peptides.nearest import find_nearest, pair_identities
from foldwright.evaluation.peptides.packed import PackedPeptides, pack_peptides
from tests.evaluation.peptides.sample_peptides import draw


def all_identities(peptides: PackedPeptides, references: PackedPeptides) -> np.ndarray:
    rows, columns = (part.ravel() for part in np.indices((len(peptides), len(references))))
    longer = np.maximum(peptides.lengths[rows], references.lengths[columns])
    found = 1 - pair_distances(peptides, references, rows, columns) / longer
    return found.reshape(len(peptides), -1)


@pytest.mark.parametrize("letters", ["AK", "ACDEFGHIKLMNPQRSTVWY"])
def test_every_nearest_is_the_greatest_of_all_pairs(letters):
    peptides = pack_peptides(draw(70, letters, name="queries", low=3, high=40))
    references = pack_peptides(draw(300, letters, name="references", low=3, high=40))
    found = find_nearest(peptides, references)
    everything = all_identities(peptides, references)
    assert found.identity.tolist() == everything.max(axis=1).tolist()
    chosen = everything[np.arange(len(peptides)), found.index]
    assert chosen.tolist() == found.identity.tolist()


def test_no_peptide_is_its_own_neighbour_but_a_copy_is_one():
    peptides = pack_peptides(["ACDEF", "ACDEF", "WWWWW", "ACDEG"])
    found = find_nearest(peptides, peptides, skip_self=True)
    assert found.identity.tolist() == [1.0, 1.0, 0.0, 0.8]
    assert found.index[:2].tolist() == [1, 0]
    # with fewer references than are looked at first, and as many
    two = pack_peptides(["AAAA", "AAAC"])
    assert find_nearest(two, two, skip_self=True).identity.tolist() == [0.75, 0.75]


def test_identity_is_by_the_longer_peptide():
    found = find_nearest(pack_peptides(["ACDE"]), pack_peptides(["ACDEFGHI", "WWWW"]))
    assert found.identity.tolist() == [0.5]
    assert found.index.tolist() == [0]


def test_pairs_are_all_pairs_where_there_are_few():
    packed = pack_peptides(["AAAA", "AAAC", "CCCC"])
    found = pair_identities(packed, torch.Generator().manual_seed(0))
    assert found.tolist() == [0.75, 0.0, 0.25]


def test_of_many_pairs_a_sample_of_different_places_has_their_mean():
    packed = pack_peptides(draw(700, "AKLG", name="pairs", low=4, high=8))
    found = pair_identities(packed, torch.Generator().manual_seed(0))
    assert len(found) == 200_000
    everything = all_identities(packed, packed)
    off_diagonal = everything[~np.eye(700, dtype=bool)]
    assert found.mean() == pytest.approx(off_diagonal.mean(), abs=0.003)
