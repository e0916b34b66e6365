"""Distances between two sets of peptides: spreads of numbers, compositions, features."""

import numpy as np
from jaxtyping import Float, Float64, Int64

from foldwright.evaluation.peptides.packed import PackedPeptides

_LARGEST_DEVIATION = 5.0
_COMPOSITION_SCALE, _ORDER_SCALE = 1.8, 0.7


def wasserstein(first: Float[np.ndarray, " p"], second: Float[np.ndarray, " q"]) -> float:
    """Return the 1-Wasserstein distance of two samples: the area between their distributions."""
    values = np.sort(np.concatenate([first, second]))
    shares = [
        np.searchsorted(np.sort(sample), values[:-1], "right") / len(sample)
        for sample in (first, second)
    ]
    return float((np.abs(shares[0] - shares[1]) * np.diff(values)).sum())


def scaled_wasserstein(
    properties: Float64[np.ndarray, "p k"], real: Float64[np.ndarray, "q k"]
) -> Float64[np.ndarray, " k"]:
    """Return the distance of each property in units of its spread among the real peptides.

    A property that all real peptides share has no unit; its distance is left as it is.
    """
    spread = real.std(axis=0)
    pairs = zip(properties.T, real.T, strict=True)
    found = np.array([wasserstein(here, there) for here, there in pairs])
    return found / np.where(spread > 0, spread, 1.0)


def residue_divergence(first: PackedPeptides, second: PackedPeptides) -> float:
    """Jensen-Shannon divergence of the residues of two sets, in bits: 0 to 1."""
    return jensen_shannon(first.residue_counts().sum(axis=0), second.residue_counts().sum(axis=0))


def dipeptide_divergence(first: PackedPeptides, second: PackedPeptides) -> float:
    """Jensen-Shannon divergence of the pairs of neighbours of two sets, in bits: 0 to 1."""
    counts = [one.dipeptide_counts().sum(axis=0) for one in (first, second)]
    return jensen_shannon(counts[0], counts[1])


def jensen_shannon(first: Int64[np.ndarray, " k"], second: Int64[np.ndarray, " k"]) -> float:
    """Jensen-Shannon divergence of two histograms, in bits (Lin 1991, equation 3.2)."""
    shares = first / max(first.sum(), 1), second / max(second.sum(), 1)
    middle = (shares[0] + shares[1]) / 2
    return float(sum(_relative_entropy(share, middle) for share in shares) / 2)


def frechet_distance(
    features: Float64[np.ndarray, "p f"], real: Float64[np.ndarray, "q f"], num_composition: int
) -> float:
    """Return the Fréchet distance of two sets of features, taken as Gaussians.

    `|m - m'|² + trace(C + C' - 2 (C C')^½)` (Dowson and Landau 1982). Features are divided by
    their spread among the real peptides and cut at five spreads; those of the composition, which
    come first, then weigh 1.8 and those of the order 0.7, which puts shuffled and random peptides
    about where they lie in the published comparison that the goals come from.
    """
    centre, spread = real.mean(axis=0), real.std(axis=0)
    scale = np.full(features.shape[1], _ORDER_SCALE)
    scale[:num_composition] = _COMPOSITION_SCALE
    unit = np.where(spread > 0, spread, 1.0)
    limit = _LARGEST_DEVIATION
    here, there = (
        np.clip((values - centre) / unit, -limit, limit) * scale for values in (features, real)
    )
    shift = here.mean(axis=0) - there.mean(axis=0)
    first, second = np.cov(here, rowvar=False), np.cov(there, rowvar=False)
    root = _square_root(first)
    cross = np.linalg.eigvalsh(root @ second @ root).clip(min=0)
    return float(shift @ shift + np.trace(first + second) - 2 * np.sqrt(cross).sum())


def _square_root(matrix: Float64[np.ndarray, "f f"]) -> Float64[np.ndarray, "f f"]:
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(values.clip(min=0))) @ vectors.T


def _relative_entropy(
    shares: Float64[np.ndarray, " k"], others: Float64[np.ndarray, " k"]
) -> float:
    there = shares > 0
    return float((shares[there] * np.log2(shares[there] / others[there])).sum())
