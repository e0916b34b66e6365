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

_UNKNOWN = 20
_GAP = 21
_DNA_BASES = (26, 27, 28, 29)
_UNKNOWN_BASE = 30
_UNKNOWN_DNA_BASE = 31
_TERMINAL_OXYGENS = ("OXT ", "OP3 ")


def family_inputs(inputs: FoldInputs, family: Family) -> FoldInputs:
    """Return the input as the network of `family` reads it; AlphaFold 3's is the input itself.

    Classes keep AlphaFold 3's order, with the unknown base of DNA behind them as a class of its
    own. A second call changes nothing.

    Raises:
        InputError: a token has more atoms than the family scores.
    """
    if family == FAMILIES["alphafold3"]:
        return inputs
    if not family.terminal_oxygens:
        inputs = _without_terminal_oxygens(inputs)
    _check_atoms(inputs, family)
    if family.modified_as_unknown:
        inputs = _with_unknown_modified(inputs)
    if family.num_classes > _UNKNOWN_DNA_BASE:
        inputs = _with_dna_class(inputs)
    if family.aligned_chains == "protein and RNA":
        inputs = _without_bare_columns(inputs)
    elif family.aligned_chains == "all":
        inputs = _with_ligand_columns(inputs)
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
        f"token {token + 1} has {int(counts[token])} atoms, {family.title} scores {most} at most"
    )


def _without_terminal_oxygens(inputs: FoldInputs) -> FoldInputs:
    """Leave out the atoms OXT and OP3 of residues; an atom that is a token of its own stays."""
    reference = inputs.reference
    names = reference.name_characters
    terminal = torch.zeros_like(reference.real)
    for name in _TERMINAL_OXYGENS:
        characters = names.new_tensor([ord(character) - 32 for character in name])
        terminal |= (names == characters).all(-1)
    several = reference.real.sum(1, keepdim=True) > 1
    return replace(
        inputs, reference=replace(reference, real=reference.real & ~(terminal & several))
    )


def _with_unknown_modified(inputs: FoldInputs) -> FoldInputs:
    """Give all tokens of a residue that has several the unknown class."""
    tokens = inputs.tokens
    residue = torch.stack([tokens.asym_id, tokens.residue_index], dim=1)
    _, index, counts = torch.unique(residue, dim=0, return_inverse=True, return_counts=True)
    classes = torch.where(counts[index] > 1, _UNKNOWN, tokens.residue_class)
    return replace(inputs, tokens=replace(tokens, residue_class=classes))


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


def _without_bare_columns(inputs: FoldInputs) -> FoldInputs:
    """Empty the alignment's columns of DNA and ligands: gaps, no deletions, no profile."""
    alignment = inputs.alignment
    bare = _dna_tokens(inputs.tokens) | _ligand_tokens(inputs)
    return replace(
        inputs,
        alignment=replace(
            alignment,
            rows=alignment.rows.masked_fill(bare, _GAP),
            deletions=alignment.deletions.masked_fill(bare, 0),
            profile=alignment.profile.masked_fill(bare[:, None], 0),
            deletion_mean=alignment.deletion_mean.masked_fill(bare, 0),
        ),
    )


def _with_ligand_columns(inputs: FoldInputs) -> FoldInputs:
    """Give ligands the unknown residue in every row of the alignment and in the profile."""
    alignment, ligand = inputs.alignment, _ligand_tokens(inputs)
    profile = alignment.profile.masked_fill(ligand[:, None], 0)
    profile[ligand, _UNKNOWN] = 1
    rows = alignment.rows.masked_fill(ligand, _UNKNOWN)
    return replace(inputs, alignment=replace(alignment, rows=rows, profile=profile))


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


def _ligand_tokens(inputs: FoldInputs) -> Bool[Tensor, " n"]:
    """Tokens of chains in which no token has more than one atom."""
    chain, several = inputs.tokens.asym_id, inputs.reference.real.sum(1) > 1
    return ~torch.isin(chain, chain[several])


def _dna_tokens(tokens: Tokens) -> Bool[Tensor, " n"]:
    """Tokens of chains with at least one known base of DNA."""
    known = torch.isin(tokens.residue_class, tokens.residue_class.new_tensor(_DNA_BASES))
    known = known | (tokens.residue_class == _UNKNOWN_DNA_BASE)
    same_chain = tokens.asym_id[:, None] == tokens.asym_id[None]
    return (same_chain & known[None]).any(1)


def _split(classes: Int[Tensor, "*b n"], dna: Bool[Tensor, " n"]) -> Int[Tensor, "*b n"]:
    return torch.where((classes == _UNKNOWN_BASE) & dna, _UNKNOWN_DNA_BASE, classes)
