"""Sets that a generator should lie between: real peptides, shuffled ones, random ones."""

from collections.abc import Sequence

import numpy as np
import torch

from foldwright.evaluation.peptides.packed import pack_peptides
from foldwright.sequence.residues import RESIDUES


def shuffle_residues(sequences: Sequence[str], generator: torch.Generator) -> list[str]:
    """Put the residues of each peptide into a random order: its composition, no pattern."""
    return [
        "".join(one[place] for place in torch.randperm(len(one), generator=generator).tolist())
        for one in sequences
    ]


def draw_by_composition(
    sequences: Sequence[str], count: int, generator: torch.Generator
) -> list[str]:
    """Draw peptides with the lengths and the overall composition of `sequences`."""
    packed = pack_peptides(sequences)
    weights = torch.from_numpy(packed.residue_counts().sum(axis=0).astype(np.float64))
    chosen = torch.randint(len(sequences), (count,), generator=generator)
    drawn = []
    for length in packed.lengths[chosen.numpy()].tolist():
        residues = torch.multinomial(weights, length, replacement=True, generator=generator)
        drawn.append("".join(RESIDUES[residue] for residue in residues.tolist()))
    return drawn
