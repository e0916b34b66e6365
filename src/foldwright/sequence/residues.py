"""The 20 standard residues and their numbers."""

import numpy as np
from jaxtyping import Int64, Integer

from foldwright.chem.residues import PROTEIN_LETTERS, UNKNOWN_LETTER
from foldwright.runtime.errors import InputError

RESIDUES = PROTEIN_LETTERS.replace(UNKNOWN_LETTER, "")
"""One-letter codes in alphabetical order; a residue's place here is its token."""

_TOKENS = np.full(128, -1, dtype=np.int64)
_TOKENS[np.frombuffer(RESIDUES.encode("ascii"), dtype=np.uint8)] = np.arange(len(RESIDUES))


def encode_sequence(sequence: str) -> Int64[np.ndarray, " n"]:
    """Turn letters into tokens 0 to 19.

    Raises:
        InputError: a letter is none of the 20 standard residues (lower case is none either).
    """
    unknown = first_unknown(sequence)
    if unknown is not None:
        position, letter = unknown
        raise InputError(
            f"residue {position + 1} of {sequence[:20]!r} is {letter!r}; expected one of {RESIDUES}"
        )
    return _TOKENS[np.frombuffer(sequence.encode("ascii"), dtype=np.uint8)]


def decode_sequence(indices: Integer[np.ndarray, " n"] | list[int]) -> str:
    """Turn tokens 0 to 19 into letters.

    Raises:
        InputError: a token is none of 0 to 19.
    """
    tokens = np.asarray(indices, dtype=np.int64)
    if tokens.size and not (tokens.min() >= 0 and tokens.max() < len(RESIDUES)):
        raise InputError(
            f"tokens of residues are 0 to {len(RESIDUES) - 1}: found {tokens.min()} to "
            f"{tokens.max()}"
        )
    return "".join(RESIDUES[token] for token in tokens.tolist())


def first_unknown(sequence: str) -> tuple[int, str] | None:
    """Return position (from 0) and letter of the first non-standard residue, or None."""
    found = ((i, letter) for i, letter in enumerate(sequence) if letter not in RESIDUES)
    return next(found, None)
