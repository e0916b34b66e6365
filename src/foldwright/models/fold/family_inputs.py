"""Inputs as a family of weights expects them, from inputs as AlphaFold 3 featurises them."""

from dataclasses import replace

import torch
from jaxtyping import Bool, Int
from torch import Tensor
from torch.nn.functional import pad

from foldwright.models.fold.family import FAMILIES, Family
from foldwright.models.fold.inputs import FoldInputs, Tokens
from foldwright.models.fold.windows import atom_layout
from foldwright.runtime.errors import InputError

_GAP = 21
_DNA_BASES = (26, 27, 28, 29)
_UNKNOWN_BASE = 30
_UNKNOWN_DNA_BASE = 31


def family_inputs(inputs: FoldInputs, family: Family) -> FoldInputs:
    """Return the input as the network of `family` reads it; AlphaFold 3's is the input itself.

    Classes keep AlphaFold 3's order, with the unknown base of DNA behind them as a class of its
    own. A second call changes nothing.

    Raises:
        InputError: a token has more atoms than the family scores.
    """
    if family == FAMILIES["alphafold3"]:
        return inputs
    _check_atoms(inputs, family)
    if family.num_classes > _UNKNOWN_DNA_BASE:
        inputs = _with_dna_class(inputs)
    if family.symmetric_bonds:
        inputs = replace(inputs, bonds=torch.cat([inputs.bonds, inputs.bonds.flip(1)]))
    if family.gap_templates != "none":
        inputs = _with_gap_templates(inputs, first_only=family.gap_templates == "first")
    if family.windows != "given":
        layout = atom_layout(inputs.reference.real, shifted=family.windows == "shifted")
        inputs = replace(inputs, layout=layout)
    return inputs


def _check_atoms(inputs: FoldInputs, family: Family) -> None:
    counts = inputs.reference.real.sum(1)
    most = family.packed_atoms
    if most is None or int(counts.max()) <= most:
        return
    token = int(counts.argmax())
    raise InputError(
        f"token {token + 1} has {int(counts[token])} atoms, {family.title} scores {most} at most; "
        "a first base with the atom OP3 is such a one: leave OP3 out"
    )


def _with_dna_class(inputs: FoldInputs) -> FoldInputs:
    """Give the unknown base of DNA chains, in tokens, alignment and profile, its own class."""
    tokens, alignment = inputs.tokens, inputs.alignment
    dna = _dna_tokens(tokens)
    missing = _UNKNOWN_DNA_BASE + 1 - alignment.profile.shape[1]
    profile = pad(alignment.profile, (0, missing)).clone()
    unknown = profile[:, _UNKNOWN_BASE] * dna
    profile[:, _UNKNOWN_DNA_BASE] += unknown
    profile[:, _UNKNOWN_BASE] -= unknown
    return replace(
        inputs,
        tokens=replace(tokens, residue_class=_split(tokens.residue_class, dna)),
        alignment=replace(alignment, rows=_split(alignment.rows, dna), profile=profile),
        templates=replace(
            inputs.templates, residue_class=_split(inputs.templates.residue_class, dna)
        ),
    )


def _with_gap_templates(inputs: FoldInputs, *, first_only: bool) -> FoldInputs:
    """Give tokens without a template the class of gaps; AlphaFold 3 has the first class there.

    With `first_only`, these are the tokens of chains without any template, in the first slot.
    """
    templates, chain = inputs.templates, inputs.tokens.asym_id
    classes = templates.residue_class.clone()
    if first_only:
        seen = chain[templates.mask.any((0, 2))]
        classes[:1, ~torch.isin(chain, seen)] = _GAP
    else:
        classes[~templates.mask.any(-1)] = _GAP
    return replace(inputs, templates=replace(templates, residue_class=classes))


def _dna_tokens(tokens: Tokens) -> Bool[Tensor, " n"]:
    """Tokens of chains with at least one known base of DNA."""
    known = torch.isin(tokens.residue_class, tokens.residue_class.new_tensor(_DNA_BASES))
    known = known | (tokens.residue_class == _UNKNOWN_DNA_BASE)
    same_chain = tokens.asym_id[:, None] == tokens.asym_id[None]
    return (same_chain & known[None]).any(1)


def _split(classes: Int[Tensor, "*b n"], dna: Bool[Tensor, " n"]) -> Int[Tensor, "*b n"]:
    return torch.where((classes == _UNKNOWN_BASE) & dna, _UNKNOWN_DNA_BASE, classes)
