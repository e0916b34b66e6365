from collections.abc import Iterator
from dataclasses import FrozenInstanceError, replace

import jaxtyping
import numpy as np
import pytest

from foldwright.runtime.errors import InputError
from foldwright.structure.records import Chain, Structure


@pytest.fixture
def chain(ideal_backbone) -> Chain:
    return Chain.from_backbone(ideal_backbone(6, -60, -45), "A", "ACDEFX")


@pytest.fixture
def unchecked_shapes() -> Iterator[None]:
    """Switch the checks of the test run off, so that the record's own are seen."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


def test_from_backbone_gives_the_coordinates_back(ideal_backbone) -> None:
    coords = ideal_backbone(12, -120, 130)
    chain = Chain.from_backbone(coords, "B")
    np.testing.assert_array_equal(chain.backbone(), coords.astype(np.float32))
    np.testing.assert_array_equal(chain.ca, coords[:, 1].astype(np.float32))
    assert (chain.chain_id, chain.kind, len(chain)) == ("B", "protein", 12)
    assert chain.sequence == "G" * 12
    assert chain.residue_numbers.tolist() == list(range(1, 13))
    assert chain.elements[:4].tolist() == ["N", "C", "C", "O"]
    assert chain.breaks().tolist() == []


def test_missing_atoms_stay_nan_and_only_they(ideal_backbone) -> None:
    coords = ideal_backbone(8, -60, -45).astype(np.float32)
    coords[2, 3] = np.nan
    coords[5, 1, 0] = np.nan
    chain = Chain.from_backbone(coords)
    expected = coords.copy()
    expected[5, 1] = np.nan
    np.testing.assert_array_equal(chain.backbone(), expected)
    assert np.flatnonzero(np.isnan(chain.ca).any(axis=1)).tolist() == [5]
    assert chain.breaks().tolist() == [4, 5]
    assert len(chain.coords) == 30


def test_breaks_see_a_long_peptide_bond_that_the_ca_trace_hides(ideal_backbone) -> None:
    coords = ideal_backbone(8, -60, -45)
    coords[4, 0] += coords[4, 0] - coords[3, 2]  # N of residue 4 to twice the bond length
    assert Chain.from_backbone(coords).breaks().tolist() == [3]


def test_a_calcium_ion_is_no_ca() -> None:
    ion = Chain(
        chain_id="A",
        kind="ligand",
        sequence="X",
        residue_names=np.array(["CA"]),
        residue_numbers=np.array([1]),
        insertion_codes=np.array([""]),
        atom_names=np.array(["CA"]),
        elements=np.array(["CA"]),
        coords=np.zeros((1, 3)),
        occupancy=np.ones(1),
        b_factor=np.zeros(1),
        atom_residue_index=np.array([0]),
    )
    assert np.isnan(ion.ca).all()


def test_sequence_must_fit(ideal_backbone) -> None:
    coords = ideal_backbone(4, -60, -45)
    with pytest.raises(InputError, match="3 letters for 4 residues"):
        Chain.from_backbone(coords, "A", "ACD")
    with pytest.raises(InputError, match="unknown letters J"):
        Chain.from_backbone(coords, "A", "ACDJ")


def test_a_residue_without_atoms_is_refused(ideal_backbone) -> None:
    coords = ideal_backbone(4, -60, -45)
    coords[2] = np.nan
    with pytest.raises(InputError, match="atom_residue_index must rise from 0 without a gap"):
        Chain.from_backbone(coords)


def test_infinite_coordinates_are_located(ideal_backbone) -> None:
    coords = ideal_backbone(4, -60, -45)
    coords[2, 1, 0] = np.inf
    with pytest.raises(InputError, match=r"coords of 1 atoms .* first at CA of GLY 3"):
        Chain.from_backbone(coords)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"occupancy": np.ones(3)}, r"occupancy has the shape \(3,\), expected \(24,\)"),
        ({"residue_numbers": np.arange(5)}, r"residue_numbers has the shape \(5,\)"),
        ({"sequence": "ACDEF"}, "must have 6 of the letters"),
        ({"sequence": "ACDEFN"[::-1] + "A"}, "must have 6 of the letters"),
        ({"atom_residue_index": np.zeros(24, dtype=int)}, "without a gap"),
        ({"atom_residue_index": np.repeat(np.arange(6), 4)[::-1]}, "must rise"),
        ({"b_factor": np.full(24, np.nan)}, "b_factor of 24 atoms is not a finite number"),
    ],
)
def test_inconsistent_records_are_refused(
    chain: Chain, changes: dict, message: str, unchecked_shapes: None
) -> None:
    with pytest.raises(InputError, match=message):
        replace(chain, **changes)


def test_records_cannot_be_changed(chain: Chain) -> None:
    with pytest.raises(FrozenInstanceError):
        chain.chain_id = "B"  # type: ignore[misc]
    with pytest.raises(ValueError, match="read-only"):
        chain.coords[0, 0] = 1.0


def test_the_callers_array_stays_its_own(chain: Chain) -> None:
    coords = chain.coords.copy()
    other = replace(chain, coords=coords)
    coords += 1.0
    np.testing.assert_array_equal(other.coords, chain.coords)


def test_structure_lists_its_protein_chains(chain: Chain) -> None:
    ligand = replace(chain, kind="ligand", sequence="X" * 6)
    structure = Structure("mine", (ligand, chain, chain))
    assert structure.protein_chains == (chain, chain)
    with pytest.raises(InputError, match="has no chains"):
        Structure("none", ())


def test_numpy_strings_become_plain_ones(chain: Chain) -> None:
    named = replace(chain, chain_id=np.str_("B"), sequence=np.str_(chain.sequence))
    structure = Structure(np.str_("made"), (named,), method=np.str_("NMR"))
    texts = (named.chain_id, named.sequence, structure.name, structure.method)
    assert texts == ("B", chain.sequence, "made", "NMR")
    assert all(type(text) is str for text in texts)
    assert Structure("made", (chain,)).method is None
