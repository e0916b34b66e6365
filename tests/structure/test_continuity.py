import numpy as np
import pytest

from foldwright.structure.continuity import find_breaks


def straight(length: int, step: float = 3.8) -> np.ndarray:
    return np.arange(length)[:, None] * np.array([step, 0.0, 0.0])


def test_an_ideal_trace_has_no_break() -> None:
    assert find_breaks(straight(20)).tolist() == []
    assert find_breaks(straight(20, step=2.95)).tolist() == []  # cis


@pytest.mark.parametrize(
    ("step", "broken"), [(4.24, False), (4.26, True), (2.51, False), (2.49, True)]
)
def test_limits_of_the_ca_distance(step: float, broken: bool) -> None:
    assert (find_breaks(straight(2, step)).tolist() == [0]) is broken


def test_a_jump_breaks_after_the_residue_before_it() -> None:
    ca = straight(10)
    ca[6:] += 5.0
    assert find_breaks(ca).tolist() == [5]


def test_a_missing_ca_is_cut_off_on_both_sides() -> None:
    ca = straight(10)
    ca[4] = np.nan
    assert find_breaks(ca).tolist() == [3, 4]


def test_a_long_peptide_bond_breaks_and_an_unknown_one_does_not() -> None:
    ca = straight(5)
    half_way = np.array([1.25, 0.0, 0.0])
    c, n = ca + half_way, ca - half_way
    assert find_breaks(ca, c=c, n=n).tolist() == []
    n[3, 0] += 1.0  # 2.3 Å from the carbon before
    assert find_breaks(ca, c=c, n=n).tolist() == [2]
    n[3] = np.nan
    assert find_breaks(ca, c=c, n=n).tolist() == []


def test_one_residue_and_none() -> None:
    assert find_breaks(straight(1)).tolist() == []
    assert find_breaks(straight(0)).tolist() == []
