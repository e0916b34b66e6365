"""Letters and tokens."""

import numpy as np
import pytest

from foldwright.runtime.errors import InputError
from foldwright.sequence.residues import RESIDUES, decode_sequence, encode_sequence, first_unknown


def test_tokens_are_the_places_in_the_alphabet() -> None:
    assert RESIDUES == "ACDEFGHIKLMNPQRSTVWY"
    assert encode_sequence("YAC").tolist() == [19, 0, 1]
    assert encode_sequence("").shape == (0,)


def test_there_and_back() -> None:
    tokens = np.arange(20)[::-1]
    assert encode_sequence(decode_sequence(tokens)).tolist() == tokens.tolist()
    assert decode_sequence([8, 8]) == "KK"


def test_the_first_unknown_letter_is_named() -> None:
    assert first_unknown("ACX1") == (2, "X")
    assert first_unknown(RESIDUES) is None
    with pytest.raises(InputError, match=r"residue 2 of 'Ak' is 'k'; expected one of ACDEF"):
        encode_sequence("Ak")
    with pytest.raises(InputError, match="residue 1 of 'Å'"):
        encode_sequence("Å")


@pytest.mark.parametrize("tokens", [[20], [-1, 3]])
def test_tokens_out_of_range_are_refused(tokens) -> None:
    with pytest.raises(InputError, match="0 to 19"):
        decode_sequence(tokens)
