"""Inputs of AlphaFold 3 into what OpenFold3 expects."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from foldwright.models.fold.family import FAMILIES
from foldwright.models.fold.family_inputs import family_inputs
from foldwright.models.fold.features import bond_matrix
from foldwright.models.fold.inputs import FoldInputs
from foldwright.models.fold.windows import atom_layout
from foldwright.runtime.errors import InputError
from tests.models.fold.mixed_input import DNA, GAP, PROTEIN, RNA, UNKNOWN, UNKNOWN_BASE, mixed_input

OPENFOLD3 = FAMILIES["openfold3"]
UNKNOWN_DNA_BASE = 31
FIRST_RNA = 2 * len(PROTEIN)
FIRST_DNA = FIRST_RNA + len(RNA)
FIRST_LIGAND = FIRST_DNA + len(DNA)


@pytest.fixture
def given() -> FoldInputs:
    return mixed_input()


def characters(name: str) -> Tensor:
    return torch.tensor([ord(character) - 32 for character in f"{name:<4}"])


def test_alphafold3_is_the_input_itself(given: FoldInputs) -> None:
    assert family_inputs(given, FAMILIES["alphafold3"]) is given


def test_unknown_bases_are_told_apart(given: FoldInputs) -> None:
    found = family_inputs(given, OPENFOLD3)
    classes, before = found.tokens.residue_class, given.tokens.residue_class
    assert classes[FIRST_RNA + 2] == before[FIRST_RNA + 2] == UNKNOWN_BASE
    assert before[FIRST_DNA + 2] == UNKNOWN_BASE
    assert classes[FIRST_DNA + 2] == UNKNOWN_DNA_BASE
    protenix = family_inputs(given, FAMILIES["protenix"])  # has an alignment of DNA
    before_share = given.alignment.profile[FIRST_DNA:FIRST_LIGAND, UNKNOWN_BASE]
    profile = protenix.alignment.profile[FIRST_DNA:FIRST_LIGAND]
    assert torch.equal(profile[:, UNKNOWN_DNA_BASE], before_share)
    assert not profile[:, UNKNOWN_BASE].any()


def test_alignment_of_dna_and_ligands_is_empty(given: FoldInputs) -> None:
    found, before = family_inputs(given, OPENFOLD3).alignment, given.alignment
    assert (found.rows[:, FIRST_DNA:] == GAP).all()
    assert torch.equal(found.rows[:, :FIRST_DNA], before.rows[:, :FIRST_DNA])
    assert torch.equal(found.profile[:FIRST_DNA, :31], before.profile[:FIRST_DNA])
    assert before.deletions[:, FIRST_DNA:].any()
    for part in (
        found.deletions[:, FIRST_DNA:],
        found.profile[FIRST_DNA:],
        found.deletion_mean[FIRST_DNA:],
    ):
        assert not part.any()


def test_bonds_count_in_both_directions(given: FoldInputs) -> None:
    n = len(given.tokens)
    one, both = (
        bond_matrix(one.bonds, n, torch.float32) for one in (given, family_inputs(given, OPENFOLD3))
    )
    assert torch.equal(both, one + one.T)


def test_slots_without_template_are_gaps(given: FoldInputs) -> None:
    found, before = family_inputs(given, OPENFOLD3).templates, given.templates
    seen = before.mask.any(-1)
    assert seen.any()
    assert (found.residue_class[~seen] == GAP).all()
    assert torch.equal(found.residue_class[seen], before.residue_class[seen])


def test_oxygens_of_ends_are_left_out_but_not_those_of_ligands(given: FoldInputs) -> None:
    names, real = given.reference.name_characters.clone(), given.reference.real.clone()
    ends = {0: "OXT", FIRST_RNA: "OP3", FIRST_LIGAND: "OXT"}
    for token, name in ends.items():
        slot = int(real[token].nonzero()[-1])
        names[token, slot] = characters(name)
    reference = replace(given.reference, name_characters=names)
    found = family_inputs(replace(given, reference=reference), OPENFOLD3)
    lost = (real.sum(1) - found.reference.real.sum(1)).tolist()
    assert [token for token, count in enumerate(lost) if count] == [0, FIRST_RNA]
    assert lost[0] == lost[FIRST_RNA] == 1
    expected = atom_layout(found.reference.real)
    assert torch.equal(found.layout.queries_to_keys.index, expected.queries_to_keys.index)


def test_atoms_of_modified_residues_are_unknown(given: FoldInputs) -> None:
    """Tokens 3 and 4 become atoms of one residue, with the class of its parent."""
    index, classes = given.tokens.residue_index.clone(), given.tokens.residue_class.clone()
    index[4], classes[4] = index[3], classes[3]
    tokens = replace(given.tokens, residue_index=index, residue_class=classes)
    found = family_inputs(replace(given, tokens=tokens), OPENFOLD3).tokens.residue_class
    assert found[3:5].tolist() == [UNKNOWN, UNKNOWN]
    assert torch.equal(found[:3], classes[:3])
    assert torch.equal(found[5:FIRST_DNA], classes[5:FIRST_DNA])


def test_a_second_call_changes_nothing(given: FoldInputs) -> None:
    once = family_inputs(given, OPENFOLD3)
    twice = family_inputs(once, OPENFOLD3)
    assert torch.equal(once.tokens.residue_class, twice.tokens.residue_class)
    assert torch.equal(once.alignment.profile, twice.alignment.profile)
    assert torch.equal(once.alignment.rows, twice.alignment.rows)
    n = len(given.tokens)
    one, other = (bond_matrix(i.bonds, n, torch.float32) for i in (once, twice))
    assert torch.equal(one, other)


def test_a_token_with_too_many_atoms_is_refused(given: FoldInputs) -> None:
    real = given.reference.real.clone()
    real[FIRST_DNA] = True
    message = f"token {FIRST_DNA + 1} has 24 atoms, OpenFold3.* 23 at most"
    with pytest.raises(InputError, match=message):
        family_inputs(replace(given, reference=replace(given.reference, real=real)), OPENFOLD3)
