from dataclasses import replace

import numpy as np
import pytest

from foldwright.runtime.errors import InputError
from foldwright.structure.records import Chain
from foldwright.structure.selection import join_chains, take_residues


@pytest.fixture
def chain(ideal_backbone) -> Chain:
    coords = ideal_backbone(6, -60, -45).astype(np.float32)
    coords[2, 3] = np.nan
    numbers = np.array([-1, 5, 5, 6, 9, 10])
    codes = np.array(["", "", "A", "", "", ""])
    whole = Chain.from_backbone(coords, "B", "ACDEFX")
    return replace(whole, residue_numbers=numbers, insertion_codes=codes)


def test_residues_keep_all_that_belongs_to_them(chain: Chain) -> None:
    part = take_residues(chain, np.array([4, 1, 2]))
    assert (part.chain_id, part.kind, part.sequence) == ("B", "protein", "FCD")
    assert part.residue_numbers.tolist() == [9, 5, 5]
    assert part.insertion_codes.tolist() == ["", "", "A"]
    assert part.residue_names.tolist() == ["PHE", "CYS", "ASP"]
    np.testing.assert_array_equal(part.backbone(), chain.backbone()[[4, 1, 2]])
    assert part.atom_names.tolist() == ["N", "CA", "C", "O"] * 2 + ["N", "CA", "C"]


def test_halves_join_to_the_whole(chain: Chain) -> None:
    halves = [take_residues(chain, np.arange(3)), take_residues(chain, np.arange(3, 6))]
    whole = join_chains(halves)
    for name in Chain.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(whole, name), getattr(chain, name))


def test_chains_of_different_kinds_do_not_join(chain: Chain) -> None:
    ligand = replace(chain, kind="ligand", sequence="X" * 6)
    with pytest.raises(InputError, match="must be of one kind, found ligand, protein"):
        join_chains([chain, ligand])
