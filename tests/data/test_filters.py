import numpy as np
import pytest
from pydantic import ValidationError

from foldwright.data.chain_shape import ChainShape
from foldwright.data.filters import (
    ChainPiece,
    FilterSettings,
    Rejection,
    chain_pieces,
    judge_piece,
)
from foldwright.structure.records import Chain
from tests.data.sample_chains import helix_ca, helix_chain, sequence_of, with_peptide_atoms

OPEN = FilterSettings(min_length=1, max_length=None, max_resolution=None, max_missing_ca=1.0)


def settings(**limits: object) -> FilterSettings:
    return FilterSettings.model_validate(OPEN.model_dump() | limits)


def chain_without_ca(length: int, *gone: int) -> Chain:
    backbone = with_peptide_atoms(helix_ca(length))
    backbone[list(gone), 1] = np.nan
    return Chain.from_backbone(backbone, "A", sequence_of(length))


def chain_with_gaps(*lengths: int) -> Chain:
    """Helices 20 Å apart, one chain."""
    parts = [helix_ca(n) + np.array([20.0 * k, 0, 0]) for k, n in enumerate(lengths)]
    backbone = np.concatenate([with_peptide_atoms(part) for part in parts])
    return Chain.from_backbone(backbone, "A", sequence_of(len(backbone)))


def piece_of(chain: Chain) -> ChainPiece:
    pieces = chain_pieces(chain, OPEN)
    assert isinstance(pieces, list)
    assert len(pieces) == 1
    return pieces[0]


def rejection(found: object) -> Rejection:
    assert isinstance(found, Rejection)
    return found


def test_a_whole_chain_is_one_piece() -> None:
    chain = helix_chain(30)
    piece = piece_of(chain)
    assert np.array_equal(piece.backbone, chain.backbone(), equal_nan=True)
    assert (piece.sequence, piece.number) == (chain.sequence, 0)
    assert piece.residue_numbers.tolist() == list(range(1, 31))


def test_residues_without_ca_at_the_ends_are_left_out() -> None:
    chain = chain_without_ca(30, 0, 29)
    piece = piece_of(chain)
    assert piece.residue_numbers.tolist() == list(range(2, 30))
    assert piece.sequence == chain.sequence[1:-1]
    assert np.isfinite(piece.ca).all()


def test_a_residue_without_ca_inside_is_a_break() -> None:
    found = rejection(chain_pieces(chain_without_ca(30, 12), settings(max_breaks=0)))
    assert found.rule == "breaks"
    assert "breaks: 1, first after residue 12, more than 0" in found.reason


def test_the_share_of_missing_ca_counts() -> None:
    chain = chain_without_ca(20, 0, 1)
    assert isinstance(chain_pieces(chain, settings(max_missing_ca=0.1)), list)
    found = rejection(chain_pieces(chain, settings(max_missing_ca=0.09)))
    assert found == Rejection("missing-ca", "2 of 20 residues have no CA, at most 9% may")


def test_a_chain_without_any_ca() -> None:
    found = rejection(chain_pieces(chain_without_ca(3, 0, 1, 2), OPEN))
    assert found.rule == "missing-ca"


def test_breaks_are_counted() -> None:
    chain = chain_with_gaps(10, 12, 14)
    assert rejection(chain_pieces(chain, settings(max_breaks=1))).rule == "breaks"
    pieces = chain_pieces(chain, settings(max_breaks=2))
    assert isinstance(pieces, list)
    assert [len(piece.ca) for piece in pieces] == [36]


def test_a_chain_is_cut_at_its_breaks() -> None:
    chain = chain_with_gaps(10, 12, 14)
    pieces = chain_pieces(chain, settings(split_at_breaks=True))
    assert isinstance(pieces, list)
    assert [(piece.number, len(piece.ca)) for piece in pieces] == [(1, 10), (2, 12), (3, 14)]
    assert "".join(piece.sequence for piece in pieces) == chain.sequence
    assert pieces[1].residue_numbers.tolist() == list(range(11, 23))
    assert np.array_equal(pieces[2].ca, chain.ca[22:])


def test_cutting_leaves_a_whole_chain_whole() -> None:
    pieces = chain_pieces(helix_chain(30), settings(split_at_breaks=True))
    assert isinstance(pieces, list)
    assert [piece.number for piece in pieces] == [0]


@pytest.mark.parametrize(
    ("limits", "resolution", "rule"),
    [
        ({"min_length": 40}, None, None),
        ({"min_length": 41}, None, "too-short"),
        ({"max_length": 40}, None, None),
        ({"max_length": 39}, None, "too-long"),
        ({"max_resolution": 2.0}, 2.0, None),
        ({"max_resolution": 2.0}, 2.1, "resolution"),
        ({"max_resolution": 2.0}, None, None),
        ({"max_coil": 0.5}, None, None),
        ({"max_rg_ratio": 2.0}, None, None),
        ({"max_rg_ratio": 1.9}, None, "rg"),
    ],
)
def test_limits_include_their_value(
    limits: dict[str, object], resolution: float | None, rule: str | None
) -> None:
    """A helix of 40: Rg of the rod is 17.4 Å, of a globule 8.9 Å."""
    found = judge_piece(piece_of(helix_chain(40)), resolution, settings(**limits))
    assert (found.rule if isinstance(found, Rejection) else None) == rule


def test_coil_counts() -> None:
    rod = np.outer(np.arange(40), [0.0, 0.0, 3.8])
    piece = piece_of(Chain.from_backbone(with_peptide_atoms(rod)))
    found = rejection(judge_piece(piece, None, settings(max_coil=0.9)))
    assert found == Rejection("coil", "100% coil, more than 90%")


def test_all_broken_limits_are_in_the_reason() -> None:
    found = rejection(judge_piece(piece_of(helix_chain(20)), 9.0, FilterSettings()))
    assert found.rule == "resolution"
    assert found.reason == "resolution 9 Å, worse than 4; 20 residues, shorter than 40"


def test_what_passes_is_measured() -> None:
    shape = judge_piece(piece_of(helix_chain(50)), 1.0, FilterSettings())
    assert isinstance(shape, ChainShape)
    assert shape.helix > 0.85


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"min_length": 50, "max_length": 49}, "max_length 49 is below min_length 50"),
        ({"split_at_breaks": True, "max_breaks": 2}, "leave max_breaks out, or do not split"),
        ({"max_coil": 1.5}, "max_coil"),
        ({"min_lenght": 50}, "min_lenght"),
    ],
)
def test_limits_that_make_no_sense(limits: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        FilterSettings.model_validate(limits)
