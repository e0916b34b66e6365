"""Families of published weights: what each does otherwise than AlphaFold 3.

A difference is declared here once and read by the builder of the part that it concerns. What only
lies elsewhere in a checkpoint (the order of columns, a matrix in two parts) is no difference of the
network: the family's layout in `weights` brings it into our order.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

FamilyName = Literal["alphafold3", "openfold3", "openfold3-preview", "protenix"]
Windows = Literal["given", "shifted", "centred"]
AlignedChains = Literal["polymers", "protein and RNA", "all"]
GapTemplates = Literal["none", "first", "all"]


@dataclass(frozen=True)
class Family:
    """How one family computes; the defaults are AlphaFold 3.

    Attributes:
        title: name for people.
        num_classes: residue classes; the 32nd is the unknown residue of DNA, which AlphaFold 3
            does not tell from that of RNA.
        symmetric_bonds: whether a bond counts in both directions.
        last_alignment_update: whether the last block of the alignment stack has parameters for an
            update that nothing reads.
        windows: which atoms see which: `given` by the input, with the original's ways (empty keys
            are seen, spaces of keys are looked up by their place); `shifted`, `centred`: laid
            out by `windows.atom_layout`, and empty keys are hidden.
        hides_unplaced_atoms: whether an atom without a reference position has no features at all.
        stored_noise_table: whether the encoding of the noise level lies in the checkpoint.
        packed_atoms: how many atoms of a token have scores, counted over its real atoms; None: one
            score for each of the 24 slots.
        turned_bias: whether the pair bias of the attention of columns is turned with them.
        chained_norms: whether atoms go through the queries' norm before the keys' norm.
        projects_relative: whether the denoiser projects the relative encoding before its norm.
        gap_templates: which tokens of the template slots are gaps: `none`; those of chains without
            a template in the `first` slot; or `all` without a template atom.
        terminal_oxygens: whether residues at the ends of chains have the atoms OXT and OP3.
        modified_as_unknown: whether the atoms of modified residues have the unknown class, not
            that of the residue's parent.
        aligned_chains: which chains have letters and a profile in the alignment: `polymers`, while
            ligands are gaps; those of `protein and RNA`, while others are gaps without a profile;
            or `all`, ligands as unknown residues.
        distogram_bias: whether the distogram's logits have a bias.
        scores_normed_single: whether the scores start from a normalised single representation.
        scores_lengths: whether the scores see distances themselves beside their bins.
        sums_before_scores: whether both directions of a pair are summed before the logits of the
            distance error, not after.
    """

    title: str
    num_classes: int = 31
    symmetric_bonds: bool = False
    last_alignment_update: bool = True
    windows: Windows = "given"
    hides_unplaced_atoms: bool = True
    stored_noise_table: bool = False
    packed_atoms: int | None = None
    turned_bias: bool = False
    chained_norms: bool = False
    projects_relative: bool = False
    gap_templates: GapTemplates = "none"
    terminal_oxygens: bool = True
    modified_as_unknown: bool = False
    aligned_chains: AlignedChains = "polymers"
    distogram_bias: bool = False
    scores_normed_single: bool = False
    scores_lengths: bool = False
    sums_before_scores: bool = False


_OPENFOLD3 = Family(
    "OpenFold3 0.5 (openbind)",
    num_classes=32,
    symmetric_bonds=True,
    last_alignment_update=False,
    windows="shifted",
    hides_unplaced_atoms=False,
    stored_noise_table=True,
    packed_atoms=23,
    gap_templates="all",
    terminal_oxygens=False,
    modified_as_unknown=True,
    aligned_chains="protein and RNA",
)

FAMILIES: Mapping[FamilyName, Family] = {
    "alphafold3": Family("AlphaFold 3"),
    "openfold3": _OPENFOLD3,
    "openfold3-preview": replace(_OPENFOLD3, title="OpenFold3 0.4 (preview 2)", turned_bias=True),
    "protenix": Family(
        "Protenix",
        num_classes=32,
        symmetric_bonds=True,
        last_alignment_update=False,
        windows="centred",
        stored_noise_table=True,
        turned_bias=True,
        chained_norms=True,
        projects_relative=True,
        gap_templates="first",
        aligned_chains="all",
        distogram_bias=True,
        scores_normed_single=True,
        scores_lengths=True,
        sums_before_scores=True,
    ),
}
