"""Peptides as arrays: what all scores of a set are counted on."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int64

from foldwright.sequence.residues import RESIDUES, encode_sequence

PADDING = -1
NUM_RESIDUES = len(RESIDUES)


@dataclass(frozen=True)
class PackedPeptides:
    """One peptide per row, real residues first, then -1."""

    tokens: Int64[np.ndarray, "p n"]
    lengths: Int64[np.ndarray, " p"]

    def __post_init__(self) -> None:
        if len(self.lengths) and int(self.lengths.min()) < 1:
            raise ValueError("a peptide without residues cannot be scored")

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def mask(self) -> Bool[np.ndarray, "p n"]:
        """Which places hold a residue."""
        return self.tokens != PADDING

    def take(self, index: Int64[np.ndarray, " _"]) -> "PackedPeptides":
        """Return the peptides at some places."""
        return PackedPeptides(self.tokens[index], self.lengths[index])

    def residue_counts(self) -> Int64[np.ndarray, "p 20"]:
        """How often each residue occurs in each peptide."""
        return count_tokens(self.tokens, NUM_RESIDUES)

    def dipeptide_counts(self) -> Int64[np.ndarray, "p 400"]:
        """How often each pair of neighbours occurs; column 20 * first + second."""
        return count_tokens(self.neighbours(1), NUM_RESIDUES**2)

    def neighbours(self, gap: int) -> Int64[np.ndarray, "p _"]:
        """Token 20 * first + second for residues `gap` apart; -1 past the end."""
        first, second = self.tokens[:, :-gap], self.tokens[:, gap:]
        return np.where(second == PADDING, PADDING, NUM_RESIDUES * first + second)


def pack_peptides(sequences: Sequence[str]) -> PackedPeptides:
    """Encode sequences of the 20 residues; rows are as wide as the longest."""
    encoded = [encode_sequence(sequence) for sequence in sequences]
    lengths = np.array([len(row) for row in encoded], dtype=np.int64)
    tokens = np.full((len(encoded), int(lengths.max(initial=0))), PADDING, dtype=np.int64)
    tokens[np.arange(tokens.shape[1]) < lengths[:, None]] = np.concatenate(
        [np.zeros(0, dtype=np.int64), *encoded]
    )
    return PackedPeptides(tokens, lengths)


def count_tokens(tokens: Int64[np.ndarray, "p n"], kinds: int) -> Int64[np.ndarray, "p _"]:
    """Count each kind of token in each row; -1 is left out."""
    rows = np.arange(len(tokens))[:, None] * kinds
    flat = (rows + tokens)[tokens != PADDING]
    return np.bincount(flat, minlength=len(tokens) * kinds).reshape(len(tokens), kinds)
