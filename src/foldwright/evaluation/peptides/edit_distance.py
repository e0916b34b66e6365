"""Levenshtein distances of many pairs at once, all residues of a peptide in one machine word."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Int64, UInt64

from foldwright.evaluation.peptides.packed import NUM_RESIDUES, PADDING, PackedPeptides

LONGEST = 64
"""Residues that fit one word."""

_PAIRS_AT_ONCE = 1 << 13


def pair_distances(
    patterns: PackedPeptides,
    texts: PackedPeptides,
    pattern_index: Int64[np.ndarray, " k"],
    text_index: Int64[np.ndarray, " k"],
) -> Int64[np.ndarray, " k"]:
    """Return the edit distance of each pair: insertions, deletions and exchanges count one.

    Myers 1999 in the form of Hyyrö 2003 (global distance): the differences between neighbouring
    rows of a column of the table are two words, and a column costs a dozen operations on words.

    Raises:
        ValueError: a pattern is longer than 64 residues.
    """
    longest = int(patterns.lengths.max(initial=0))
    if longest > LONGEST:
        raise ValueError(f"patterns have at most {LONGEST} residues, found {longest}")
    matches = _match_words(patterns)
    distances = np.empty(len(pattern_index), dtype=np.int64)
    for pairs, columns in _chunks_of_one_length(texts.lengths[text_index]):
        rows = pattern_index[pairs]
        tokens = texts.tokens[text_index[pairs], :columns].T
        rises, falls = _last_column(matches, rows * NUM_RESIDUES, np.ascontiguousarray(tokens))
        used = _low_bits(patterns.lengths[rows])
        up = np.bitwise_count(rises & used).astype(np.int64)
        distances[pairs] = columns + up - np.bitwise_count(falls & used)
    return distances


def _match_words(patterns: PackedPeptides) -> UInt64[np.ndarray, " _"]:
    """For each pattern and residue, one after the other, the places of the residue as bits."""
    words = np.zeros(len(patterns) * NUM_RESIDUES, dtype=np.uint64)
    rows = np.arange(len(patterns)) * NUM_RESIDUES
    for place in range(patterns.tokens.shape[1]):
        tokens = patterns.tokens[:, place]
        real = tokens != PADDING
        words[(rows + tokens)[real]] |= np.uint64(1 << place)
    return words


def _chunks_of_one_length(
    lengths: Int64[np.ndarray, " _"],
) -> Iterator[tuple[Int64[np.ndarray, " _"], int]]:
    order = np.argsort(lengths, kind="stable")
    values, counts = np.unique(lengths, return_counts=True)
    stops = np.cumsum(counts)
    for value, start, stop in zip(values, stops - counts, stops, strict=True):
        for first in range(start, stop, _PAIRS_AT_ONCE):
            yield order[first : min(first + _PAIRS_AT_ONCE, stop)], int(value)


def _last_column(
    matches: UInt64[np.ndarray, " _"],
    rows: Int64[np.ndarray, " k"],
    tokens: Int64[np.ndarray, "n k"],
) -> tuple[UInt64[np.ndarray, " k"], UInt64[np.ndarray, " k"]]:
    """Rows of the last column where the distance is one more, and one less, than a row above.

    `out` saves half of the time: the words of a chunk stay in the cache.
    """
    one = np.uint64(1)
    rises = np.full(len(rows), ~np.uint64(0))
    falls = np.zeros(len(rows), dtype=np.uint64)
    here, below = np.empty_like(rises), np.empty_like(rises)
    for column in tokens:
        match = matches[rows + column]
        np.bitwise_and(match, rises, out=here)
        here += rises
        here ^= rises
        here |= match
        match |= falls
        np.bitwise_or(here, rises, out=below)
        np.invert(below, out=below)
        below |= falls
        here &= rises
        below <<= one
        below |= one
        here <<= one
        np.bitwise_and(below, match, out=falls)
        below |= match
        np.invert(below, out=rises)
        rises |= here
    return rises, falls


def _low_bits(count: Int64[np.ndarray, " k"]) -> UInt64[np.ndarray, " k"]:
    """Words with the lowest bits set; a shift by 64 would be undefined."""
    return ~np.uint64(0) >> (64 - count).astype(np.uint64)
