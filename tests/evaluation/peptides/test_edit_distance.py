import numpy as np
import pytest

from foldwright.evaluation.peptides.edit_distance import pair_distances
from foldwright.evaluation.peptides.packed import pack_peptides
from tests.evaluation.peptides.sample_peptides import draw


def by_table(first: str, second: str) -> int:
    """The distance from the whole table, cell by cell (Wagner and Fischer 1974)."""
    above = list(range(len(second) + 1))
    for row, one in enumerate(first, start=1):
        here = [row]
        for column, other in enumerate(second, start=1):
            exchanged = above[column - 1] + (one != other)
            here.append(min(here[-1] + 1, above[column] + 1, exchanged))
        above = here
    return above[-1]


def distance(first: str, second: str) -> int:
    zero = np.zeros(1, dtype=np.int64)
    return int(pair_distances(pack_peptides([first]), pack_peptides([second]), zero, zero)[0])


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("KITTEN", "SITTING", 3),
        ("A", "A", 0),
        ("A", "C", 1),
        ("A", "ACDEF", 4),
        ("ACDEF", "A", 4),
        ("ACDEF", "CDEFA", 2),
        ("A" * 64, "A" * 64, 0),
        ("A" * 64, "C" * 64, 64),
        ("A" * 64, "C" + "A" * 63, 1),
        ("A" * 63, "A" * 90, 27),
    ],
)
def test_known_distances(first, second, expected):
    assert distance(first, second) == expected


def test_random_pairs_agree_with_the_whole_table():
    peptides = [*draw(60, "AKL", name="few letters", low=1, high=50), "K" * 64, "KL" * 32]
    packed = pack_peptides(peptides)
    first, second = (place.ravel() for place in np.indices((len(peptides), len(peptides))))
    chosen = np.arange(len(first))[::7]
    found = pair_distances(packed, packed, first[chosen], second[chosen])
    expected = [by_table(peptides[first[k]], peptides[second[k]]) for k in chosen]
    assert found.tolist() == expected
    assert len(set(expected)) > 20


def test_a_pattern_that_fits_no_word_is_refused():
    with pytest.raises(ValueError, match="at most 64 residues, found 65"):
        distance("A" * 65, "A")
