"""A set of peptides in numbers, beside real peptides that no model was trained on."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from foldwright.evaluation.peptides.discriminator import discriminator_auc, match_lengths
from foldwright.evaluation.peptides.distances import (
    dipeptide_divergence,
    frechet_distance,
    residue_divergence,
    scaled_wasserstein,
    wasserstein,
)
from foldwright.evaluation.peptides.features import (
    NUM_COMPOSITION,
    set_features,
    telling_features,
)
from foldwright.evaluation.peptides.nearest import find_nearest, pair_identities
from foldwright.evaluation.peptides.packed import PackedPeptides, pack_peptides
from foldwright.evaluation.peptides.properties import PROPERTIES, measure_properties
from foldwright.runtime.progress import ProgressFactory, silent
from foldwright.runtime.seeds import derive_seed, make_generator

NEAR = 0.8
"""Identity from which a peptide counts as near to a training peptide."""


@dataclass(frozen=True, eq=False)
class DescribedPeptides:
    """Peptides with everything that is counted on them."""

    sequences: tuple[str, ...]
    packed: PackedPeptides
    properties: Float64[np.ndarray, "p 7"]
    features: Float64[np.ndarray, "p f"]
    patterns: Float64[np.ndarray, "p g"]

    def __len__(self) -> int:
        return len(self.sequences)

    def take(self, places: Sequence[int]) -> "DescribedPeptides":
        """Return the peptides at some places."""
        index = np.array(places, dtype=np.int64)
        return DescribedPeptides(
            tuple(self.sequences[place] for place in index),
            self.packed.take(index),
            self.properties[index],
            self.features[index],
            self.patterns[index],
        )

    def halves(self) -> tuple["DescribedPeptides", "DescribedPeptides"]:
        """Deal the peptides into two halves, by the sequences alone."""
        order = sorted(range(len(self)), key=lambda place: derive_seed(0, self.sequences[place]))
        return self.take(order[0::2]), self.take(order[1::2])


@dataclass(frozen=True)
class DistanceScores:
    """How far a set is from real peptides; 0 is best, and 0.5 for both areas.

    Attributes:
        auc: discriminator, area under the ROC curve; `auc_length_matched` with equal lengths.
        frechet: Fréchet distance of features.
        residue_divergence: Jensen-Shannon divergence of residues in bits; `dipeptide_divergence`
            that of neighbours.
        length_wasserstein: in residues.
        property_wasserstein: mean over the seven properties, in spreads of the real peptides.
        properties: that of each property.
    """

    auc: float | None
    auc_length_matched: float | None
    frechet: float
    residue_divergence: float
    dipeptide_divergence: float
    length_wasserstein: float
    property_wasserstein: float
    properties: dict[str, float]


@dataclass(frozen=True)
class NoveltyScores:
    """How close peptides come to those a model was trained on.

    Attributes:
        copies: share of exact copies; `near` share with an identity of 0.8 or more.
        mean_nearest: mean identity to the nearest training peptide.
        nearest: that of each peptide.
    """

    copies: float
    near: float
    mean_nearest: float
    nearest: tuple[float, ...]


@dataclass(frozen=True)
class DiversityScores:
    """How close the peptides of a set come to one another.

    Attributes:
        mean_nearest: mean identity to the nearest other peptide; None for a single one.
        mean_pair: mean identity of two peptides.
    """

    mean_nearest: float | None
    mean_pair: float | None


def describe(sequences: Sequence[str]) -> DescribedPeptides:
    """Count everything on peptides of the 20 residues; at least one.

    Raises:
        InputError: a letter is none of the 20 residues.
    """
    packed = pack_peptides(sequences)
    properties = measure_properties(sequences)
    return DescribedPeptides(
        tuple(sequences),
        packed,
        properties,
        set_features(packed, properties),
        telling_features(packed, properties),
    )


def measure_distances(peptides: DescribedPeptides, real: DescribedPeptides) -> DistanceScores:
    """Compare a set with both halves of the real peptides, and take the means.

    Half of the real peptides can be compared with the other half by `measure_half`: that is the
    best a set can reach, and both numbers are of samples of one size.
    """
    found = [measure_half(peptides, half) for half in real.halves()]
    return DistanceScores(
        auc=_mean([one.auc for one in found]),
        auc_length_matched=_mean([one.auc_length_matched for one in found]),
        frechet=_average([one.frechet for one in found]),
        residue_divergence=_average([one.residue_divergence for one in found]),
        dipeptide_divergence=_average([one.dipeptide_divergence for one in found]),
        length_wasserstein=_average([one.length_wasserstein for one in found]),
        property_wasserstein=_average([one.property_wasserstein for one in found]),
        properties={name: _average([one.properties[name] for one in found]) for name in PROPERTIES},
    )


def measure_half(peptides: DescribedPeptides, half: DescribedPeptides) -> DistanceScores:
    """Compare a set with one half of the real peptides."""
    lengths = half.packed.lengths, peptides.packed.lengths
    matched = match_lengths(*lengths)
    spreads = scaled_wasserstein(peptides.properties, half.properties)
    return DistanceScores(
        auc=discriminator_auc(half.patterns, peptides.patterns),
        auc_length_matched=discriminator_auc(
            half.patterns[matched[0]], peptides.patterns[matched[1]]
        ),
        frechet=frechet_distance(peptides.features, half.features, NUM_COMPOSITION),
        residue_divergence=residue_divergence(peptides.packed, half.packed),
        dipeptide_divergence=dipeptide_divergence(peptides.packed, half.packed),
        length_wasserstein=wasserstein(lengths[1].astype(float), lengths[0].astype(float)),
        property_wasserstein=float(spreads.mean()),
        properties=dict(zip(PROPERTIES, spreads.tolist(), strict=True)),
    )


def measure_novelty(
    peptides: DescribedPeptides, training: PackedPeptides, progress: ProgressFactory = silent
) -> NoveltyScores:
    """Find the nearest training peptide of every peptide."""
    identity = find_nearest(peptides.packed, training, progress=progress).identity
    return NoveltyScores(
        copies=float((identity == 1.0).mean()),
        near=float((identity >= NEAR).mean()),
        mean_nearest=float(identity.mean()),
        nearest=tuple(identity.tolist()),
    )


def measure_set_diversity(peptides: DescribedPeptides) -> DiversityScores:
    """Compare the peptides of a set with one another."""
    if len(peptides) < 2:
        return DiversityScores(None, None)
    nearest = find_nearest(peptides.packed, peptides.packed, skip_self=True)
    pairs = pair_identities(peptides.packed, make_generator(0, "pairs"))
    return DiversityScores(float(nearest.identity.mean()), float(pairs.mean()))


def _average(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return _average(known) if len(known) == len(values) else None
