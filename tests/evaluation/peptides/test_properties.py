"""Properties against formulas worked out here and values printed elsewhere."""

import numpy as np
import pytest

from foldwright.evaluation.peptides.properties import (
    PROPERTIES,
    measure_properties,
    residue_scales,
)
from foldwright.sequence.residues import RESIDUES
from tests.evaluation.peptides.sample_peptides import MAGAININ

# Lehninger, Principles of Biochemistry: pK of side chains and of free ends
LEHNINGER = {"C": 8.18, "D": 3.65, "E": 4.25, "H": 6.0, "K": 10.53, "R": 12.48, "Y": 10.07}
LEHNINGER_ENDS = (9.69, 2.34)
# EMBOSS, data file Epk.dat
EMBOSS = {"C": 8.5, "D": 3.9, "E": 4.1, "H": 6.5, "K": 10.8, "R": 12.5, "Y": 10.1}
EMBOSS_ENDS = (8.6, 3.6)


def net_charge(sequence: str, ph: float, scale: dict[str, float], ends: tuple[float, float]):
    """Henderson-Hasselbalch, every group on its own."""
    bases = [ends[0], *(scale[one] for one in sequence if one in "KRH")]
    acids = [ends[1], *(scale[one] for one in sequence if one in "DECY")]
    positive = sum(1 / (1 + 10 ** (ph - pk)) for pk in bases)
    return positive - sum(1 / (1 + 10 ** (pk - ph)) for pk in acids)


def measure(sequence: str) -> dict[str, float]:
    return dict(zip(PROPERTIES, measure_properties([sequence])[0].tolist(), strict=True))


@pytest.mark.parametrize("sequence", [MAGAININ, "DEDEDE", "CYHKR", "A"])
def test_charge_is_that_of_lehningers_pk(sequence):
    expected = net_charge(sequence, 7.0, LEHNINGER, LEHNINGER_ENDS)
    assert measure(sequence)["charge"] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("sequence", [MAGAININ, "DEDEDE", "CYHKRDE"])
def test_at_the_isoelectric_point_the_charge_by_embosss_pk_is_zero(sequence):
    point = measure(sequence)["isoelectric_point"]
    assert net_charge(sequence, point, EMBOSS, EMBOSS_ENDS) == pytest.approx(0.0, abs=0.01)


def test_values_that_the_r_package_peptides_prints():
    found = measure("QWGRRCCGWGPGRRYCVRWC")
    assert found["instability"] == pytest.approx(83.68, abs=0.005)
    assert found["aliphatic_index"] == pytest.approx(14.5, abs=0.005)


def test_aliphatic_index_is_ikais_sum():
    # mole per cent of A + 2.9 V + 3.9 (I + L)
    assert measure("AVILGGGGGG")["aliphatic_index"] == pytest.approx(10 * (1 + 2.9 + 2 * 3.9))


def test_an_amphipathic_helix_has_the_larger_moment():
    # leucine where a helix of 100° per residue shows one side, lysine on the other
    sides = "".join("L" if np.cos(np.deg2rad(100 * place)) > 0 else "K" for place in range(18))
    mixed = "".join(sorted(sides))
    assert measure(sides)["hydrophobic_moment"] > 2 * measure(mixed)["hydrophobic_moment"]
    assert measure(sides)["hydrophobicity"] == pytest.approx(measure(mixed)["hydrophobicity"])


def test_no_peptides_have_no_rows():
    assert measure_properties([]).shape == (0, 7)


def test_scales_are_standardised_and_know_their_residues():
    scales = residue_scales()
    assert scales.shape == (20, 5)
    np.testing.assert_allclose(scales.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(scales.std(axis=0), 1)
    hydrophobicity, charge = scales[:, 0], scales[:, 1]
    assert RESIDUES[hydrophobicity.argmax()] == "I"
    assert RESIDUES[hydrophobicity.argmin()] == "R"
    assert {RESIDUES[place] for place in np.flatnonzero(charge == charge.max())} == {"K", "R"}
