import numpy as np
import pytest

from foldwright.evaluation.peptides.packed import pack_peptides
from foldwright.runtime.errors import InputError
from foldwright.sequence.residues import RESIDUES


def test_rows_hold_residues_then_padding():
    packed = pack_peptides(["ACY", "A"])
    assert packed.tokens.tolist() == [[0, 1, 19], [0, -1, -1]]
    assert packed.lengths.tolist() == [3, 1]
    assert packed.mask.tolist() == [[True] * 3, [True, False, False]]


def test_counts_leave_padding_out():
    packed = pack_peptides(["AACY", "A"])
    counts = packed.residue_counts()
    assert counts[0, [0, 1, 19]].tolist() == [2, 1, 1]
    assert counts.sum(axis=1).tolist() == [4, 1]
    pairs = packed.dipeptide_counts()
    places = [20 * RESIDUES.index(a) + RESIDUES.index(b) for a, b in ("AA", "AC", "CY")]
    assert np.flatnonzero(pairs[0]).tolist() == places
    assert pairs[1].sum() == 0


def test_gaps_reach_over_residues():
    packed = pack_peptides(["ACY"])
    assert packed.neighbours(2).tolist() == [[19]]


def test_what_cannot_be_packed_is_refused():
    with pytest.raises(InputError, match="is 'X'; expected one of"):
        pack_peptides(["ACX"])
    with pytest.raises(ValueError, match="without residues"):
        pack_peptides(["", "A"])
