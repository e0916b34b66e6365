"""What the whole chain looks like: secondary structure, size and contacts."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from foldwright.evaluation.trace import CLASH_SEPARATION
from foldwright.geometry.distances import close_pairs
from foldwright.structure.secondary import secondary_structure

CONTACT_DISTANCE = 8.0
LONG_RANGE = 12
STRAND_RICH = 0.10


@dataclass(frozen=True)
class FoldScores:
    """Scores of the fold of one chain, from C-alpha alone.

    Attributes:
        helix: share of residues in helices of either hand (P-SEA), `strand` in strands,
            `coil` the rest.
        strand_rich: at least a tenth of the residues are in strands.
        radius_of_gyration: in Å.
        contacts: mean number of other C-alpha within 8 Å and at least 3 residues away, per
            residue.
        long_range_contacts: the same at least 12 residues away.
        contact_order: mean separation of contacts over the chain length; None without contacts.
    """

    helix: float
    strand: float
    coil: float
    strand_rich: bool
    radius_of_gyration: float
    contacts: float
    long_range_contacts: float
    contact_order: float | None


def score_fold(ca: Float[Tensor, "n 3"]) -> FoldScores:
    """Score the fold of a C-alpha trace in Å; rows of NaN are missing residues.

    Secondary structure is that of P-SEA (Labesse et al. 1997), relative contact order that of
    Plaxco et al. 1998 with C-alpha contacts.
    """
    secondary = secondary_structure(ca.numpy())
    strand = secondary.count("E") / len(ca)
    present = ca[~ca.isnan().any(dim=-1)]
    pairs = close_pairs(ca, CONTACT_DISTANCE, min_separation=CLASH_SEPARATION)
    separation = (pairs[:, 1] - pairs[:, 0]).double()
    return FoldScores(
        helix=secondary.count("H") / len(ca),
        strand=strand,
        coil=secondary.count("C") / len(ca),
        strand_rich=strand >= STRAND_RICH,
        radius_of_gyration=radius_of_gyration(present),
        contacts=2 * len(pairs) / len(present),
        long_range_contacts=2 * int((separation >= LONG_RANGE).sum()) / len(present),
        contact_order=separation.mean().item() / len(ca) if len(pairs) else None,
    )


def radius_of_gyration(points: Float[Tensor, "n 3"]) -> float:
    """Root mean square distance of the points from their centre, in Å."""
    centred = points.double() - points.double().mean(dim=0)
    return torch.sqrt(centred.square().sum(dim=-1).mean()).item()
