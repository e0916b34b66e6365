import numpy as np
import pytest

from foldwright.data.chain_shape import expected_rg, measure_shape
from tests.data.sample_chains import helix_ca


def rod(length: int) -> np.ndarray:
    return np.outer(np.arange(length), [0.0, 0.0, 3.8])


@pytest.mark.parametrize("length", [2, 50, 301])
def test_radius_of_gyration_of_a_rod(length: int) -> None:
    """Equal points a distance d apart on a line: Rg^2 = d^2 (n^2 - 1) / 12."""
    assert measure_shape(rod(length)).rg == pytest.approx(3.8 * np.sqrt((length**2 - 1) / 12))


def test_radius_of_gyration_of_a_single_residue_is_zero() -> None:
    assert measure_shape(rod(1)).rg == 0


def test_place_does_not_matter() -> None:
    far = (helix_ca(60) + 500).astype(np.float32)
    assert measure_shape(far).rg == pytest.approx(measure_shape(helix_ca(60)).rg, rel=1e-5)


def test_a_helix_is_helix_but_for_its_ends() -> None:
    shape = measure_shape(helix_ca(40))
    assert (shape.helix, shape.strand, shape.coil) == (38 / 40, 0, 2 / 40)


def test_a_globule_of_100_residues() -> None:
    assert expected_rg(100) == pytest.approx(12.66, abs=0.01)
