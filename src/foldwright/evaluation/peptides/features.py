"""Numbers that describe single peptides, for distances between sets and to tell them apart."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float64, Int64

from foldwright.evaluation.peptides.packed import (
    NUM_RESIDUES,
    PADDING,
    PackedPeptides,
    count_tokens,
)
from foldwright.evaluation.peptides.properties import PROPERTIES, residue_scales
from foldwright.sequence.residues import RESIDUES

_LAGS = (1, 2, 3, 4)
_MORE_LAGS = (5, 6, 7, 8)
_MOMENT_ANGLES = (100.0, 160.0)
_NUM_MOMENTS = 2
_ENDS = 5
NUM_COMPOSITION = NUM_RESIDUES + len(PROPERTIES) + 2
"""Columns of `set_features` that say what a peptide is made of; they come first."""

_GROUPS = ("AVILM", "FWY", "KRH", "DE", "STNQ", "G", "P", "C")


def set_features(
    peptides: PackedPeptides, properties: Float64[np.ndarray, "p k"]
) -> Float64[np.ndarray, "p f"]:
    """Return the features of the Fréchet distance: what a peptide is made of, and in which order.

    Shares of the residues (20), properties, length and its logarithm, autocorrelation of five
    residue scales one to four residues apart (20), hydrophobic and charge moments of a helix and
    of a strand (4), and the differences of the five scales between both halves.
    """
    scaled = _Scaled(peptides)
    return np.concatenate(
        [
            peptides.residue_counts() / peptides.lengths[:, None],
            properties,
            _sizes(peptides),
            scaled.autocorrelations(_LAGS),
            scaled.moments(),
            scaled.half_differences(),
        ],
        axis=1,
    )


def telling_features(
    peptides: PackedPeptides, properties: Float64[np.ndarray, "p k"]
) -> Float64[np.ndarray, "p f"]:
    """Return the features of the discriminator: those of the set and single patterns.

    To `set_features` it adds roots of the shares of dipeptides (400), shares of pairs of eight
    kinds of residues two to four residues apart, longer autocorrelations, kinds of the five
    residues at either end, repeats, and the number of different residues.
    """
    kinds = _residue_kinds(peptides)
    dipeptides = peptides.dipeptide_counts() / np.maximum(peptides.lengths - 1, 1)[:, None]
    return np.concatenate(
        [
            set_features(peptides, properties),
            np.sqrt(dipeptides),
            *(_pair_shares(kinds, gap) for gap in (2, 3, 4)),
            _Scaled(peptides).autocorrelations(_MORE_LAGS),
            _end_kinds(kinds, peptides.lengths),
            _complexity(peptides),
        ],
        axis=1,
    )


class _Scaled:
    """Residue scales along each peptide, zero on padding; `centred` have mean zero."""

    def __init__(self, peptides: PackedPeptides) -> None:
        scales = np.concatenate([residue_scales(), np.zeros((1, 5))])  # -1 is the last row
        self.mask: Bool[np.ndarray, "p n 1"] = peptides.mask[..., None]
        self.lengths = peptides.lengths[:, None]
        self.values: Float64[np.ndarray, "p n 5"] = scales[peptides.tokens]
        mean = self.values.sum(axis=1, keepdims=True) / self.lengths[..., None]
        self.centred = (self.values - mean) * self.mask

    def autocorrelations(self, lags: Sequence[int]) -> Float64[np.ndarray, "p _"]:
        """Mean product of centred values `lag` residues apart; 0 for shorter peptides."""
        found = []
        for lag in lags:
            products = (self.centred[:, :-lag] * self.centred[:, lag:]).sum(axis=1)
            found.append(products / np.maximum(self.lengths - lag, 1))
        return np.concatenate(found, axis=1)

    def moments(self) -> Float64[np.ndarray, "p 4"]:
        """Length of the mean vector of hydrophobicity and of charge around a helix and a strand."""
        places = np.arange(self.values.shape[1])[:, None]
        values = self.values[..., :_NUM_MOMENTS]
        return np.concatenate(
            [
                np.abs((values * np.exp(1j * np.deg2rad(angle) * places)).sum(axis=1))
                / self.lengths
                for angle in _MOMENT_ANGLES
            ],
            axis=1,
        )

    def half_differences(self) -> Float64[np.ndarray, "p 5"]:
        """Mean over the first half minus mean over the rest."""
        places = np.arange(self.values.shape[1])[None, :, None]
        first = places < (self.lengths[..., None] + 1) // 2
        sizes = np.maximum((self.lengths + 1) // 2, 1), np.maximum(self.lengths // 2, 1)
        ends = (self.values * first).sum(axis=1), (self.values * ~first).sum(axis=1)
        return ends[0] / sizes[0] - ends[1] / sizes[1]


def _sizes(peptides: PackedPeptides) -> Float64[np.ndarray, "p 2"]:
    return np.stack([peptides.lengths.astype(np.float64), np.log(peptides.lengths)], axis=1)


def _residue_kinds(peptides: PackedPeptides) -> Int64[np.ndarray, "p n"]:
    """Number of the kind of each residue, -1 on padding."""
    kind = [next(i for i, group in enumerate(_GROUPS) if one in group) for one in RESIDUES]
    return np.array([*kind, PADDING])[peptides.tokens]


def _pair_shares(kinds: Int64[np.ndarray, "p n"], gap: int) -> Float64[np.ndarray, "p _"]:
    first, second = kinds[:, :-gap], kinds[:, gap:]
    pairs = np.where(second == PADDING, PADDING, len(_GROUPS) * first + second)
    counts = count_tokens(pairs, len(_GROUPS) ** 2)
    return counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)


def _end_kinds(
    kinds: Int64[np.ndarray, "p n"], lengths: Int64[np.ndarray, " p"]
) -> Float64[np.ndarray, "p _"]:
    """One column for each place of the five at either end and each kind."""
    rows = np.arange(len(kinds))
    columns = []
    for place in range(_ENDS):
        for index in (np.full(len(kinds), place), lengths - 1 - place):
            inside = (index >= 0) & (index < lengths)
            found = np.where(inside, kinds[rows, np.where(inside, index, 0)], PADDING)
            columns.append(found[:, None] == np.arange(len(_GROUPS)))
    return np.concatenate(columns, axis=1).astype(np.float64)


def _complexity(peptides: PackedPeptides) -> Float64[np.ndarray, "p 3"]:
    """Entropy of the composition in nats, share of different residues, share of repeats."""
    counts = peptides.residue_counts()
    shares = counts / peptides.lengths[:, None]
    entropy = -(shares * np.log(np.where(shares > 0, shares, 1.0))).sum(axis=1)
    different = (counts > 0).sum(axis=1) / peptides.lengths
    twins = np.arange(NUM_RESIDUES) * (NUM_RESIDUES + 1)
    repeats = peptides.dipeptide_counts()[:, twins].sum(axis=1)
    return np.stack([entropy, different, repeats / np.maximum(peptides.lengths - 1, 1)], axis=1)
