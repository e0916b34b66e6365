"""The cache of structures: keys as users know them, round trips, and bad files by name."""

import numpy as np
import pytest

from foldwright.data.peptide_store import PeptideStore, write_peptide_store
from foldwright.data.peptide_structure_cache import StructureCache
from foldwright.data.peptide_structures import StoredStructure
from foldwright.data.peptide_table import PeptideTable
from foldwright.runtime.errors import InputError


def structure(length: int) -> StoredStructure:
    return StoredStructure(
        np.arange(length * 12, dtype=np.float32).reshape(length, 4, 3),
        np.ones((length, 4), dtype=bool),
        np.full(length, 66.0, dtype=np.float32),
    )


def table(*sequences: str) -> PeptideTable:
    n = len(sequences)
    return PeptideTable(sequences, np.ones((n, 1), np.int8), ("x",), ("train",) * n, ("",) * n)


def test_a_structure_comes_back_from_the_place_its_md5_names(tmp_path) -> None:
    cache = StructureCache(tmp_path)
    assert cache.get("KKLLKK") is None
    cache.put("KKLLKK", structure(6))
    # md5 of the text KKLLKK
    assert cache.path("KKLLKK").relative_to(tmp_path).as_posix() == (
        "6e/6e63501587e28d9b633b8f6ce5541123.npz"
    )
    found = cache.get("KKLLKK")
    assert np.array_equal(found.backbone, structure(6).backbone)
    assert found.plddt.tolist() == [66.0] * 6
    write_peptide_store(table("ACDEF", "KKLLKK"), tmp_path / "s", source="x", structures=cache)
    store = PeptideStore.open(tmp_path / "s")
    assert store.structure(0) is None
    assert np.array_equal(store.structure(1).backbone, structure(6).backbone)


def test_every_wrong_structure_is_named(tmp_path) -> None:
    cache = StructureCache(tmp_path)
    cache.put("KKLLKK", structure(8))
    cache.put("ACDEF", structure(5))
    cache.path("ACDEF").write_bytes(b"no archive")
    with pytest.raises(InputError) as caught:
        write_peptide_store(
            table("ACDEF", "GGGGG", "KKLLKK"), tmp_path / "s", source="x", structures=cache
        )
    first, second = (str(problem) for problem in caught.value.problems)
    assert "cannot be read" in first
    assert "predict ACDEF anew" in first
    assert "arrays of 8, 8, 8 residues for KKLLKK, which has 6" in second
    assert not (tmp_path / "s").exists()
