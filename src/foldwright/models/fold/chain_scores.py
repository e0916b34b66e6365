"""Scores of whole chains and of pairs of chains from the scores of token pairs."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from foldwright.models.fold.inputs import FoldInputs
from foldwright.models.fold.network.confidence import Confidence

_FLOOR = 1e-8


@dataclass(frozen=True)
class ChainScores:
    """Predicted TM scores of one structure; NaN where there is nothing to score.

    `ptm` is the whole input's, `iptm` that of its interfaces. Chains are in the order of `asym_id`.
    The diagonal of `chain_pair_iptm` is the chain's own pTM; `chain_pair_pae_min` is the smallest
    aligned error in Å of a pair with its frame in the first chain.
    """

    ptm: float
    iptm: float
    chain_ptm: Float[Tensor, " chains"]
    chain_iptm: Float[Tensor, " chains"]
    chain_pair_iptm: Float[Tensor, "chains chains"]
    chain_pair_pae_min: Float[Tensor, "chains chains"]


def chain_scores(confidence: Confidence, inputs: FoldInputs) -> ChainScores:
    """Score chains (Abramson et al. 2024, supplement 5.9.1; Evans et al. 2022).

    Only tokens with a frame are aligned on: all of polymers, some of ligands.
    """
    tokens = inputs.tokens
    mask, asym = tokens.mask, tokens.asym_id
    frames = mask & inputs.frames
    other = asym[:, None] != asym[None]
    valid = frames[:, None] & mask[None]
    chains = [asym == chain for chain in torch.unique(asym[mask])]
    pairs = torch.full((len(chains), len(chains)), math.nan)
    errors = pairs.clone()
    for i, first in enumerate(chains):
        for j, second in enumerate(chains):
            both = first | second
            inside = valid & both[:, None] & both[None] & (other | (i == j))
            pairs[i, j] = _best_row(confidence.tm_interface, inside)
            errors[i, j] = _smallest(confidence.aligned_error, valid & first[:, None] & second)
    return ChainScores(
        ptm=_best_row(confidence.tm_global, valid),
        iptm=_best_row(confidence.tm_global, valid & other),
        chain_ptm=pairs.diagonal().clone(),
        chain_iptm=_chain_means(pairs),
        chain_pair_iptm=pairs,
        chain_pair_pae_min=errors,
    )


def ranking_score(scores: ChainScores, *, fraction_disordered: float, has_clash: bool) -> float:
    """Score by which samples are ranked (Abramson et al. 2024, supplement, equation 19)."""
    quality = scores.ptm
    if not math.isnan(scores.iptm):
        quality = 0.8 * scores.iptm + 0.2 * scores.ptm
    return quality + 0.5 * fraction_disordered - 100.0 * has_clash


def _best_row(terms: Float[Tensor, "n n"], where: Bool[Tensor, "n n"]) -> float:
    """Largest over the rows of the mean over the columns that `where` allows."""
    if not bool(where.any()):
        return math.nan
    means = (terms * where).sum(1) / (where.sum(1) + _FLOOR)
    return float(means.max())


def _smallest(errors: Float[Tensor, "n n"], where: Bool[Tensor, "n n"]) -> float:
    return float(errors[where].min()) if bool(where.any()) else math.nan


def _chain_means(pairs: Float[Tensor, "c c"]) -> Float[Tensor, " c"]:
    """Mean of a chain's column and row without the diagonal, each mean over what is not NaN."""
    off = pairs.clone().fill_diagonal_(math.nan)
    return torch.stack([off.nanmean(0), off.nanmean(1)]).nanmean(0)
