"""Secondary structure shares and size of one chain."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from foldwright.structure.secondary import secondary_structure


@dataclass(frozen=True)
class ChainShape:
    """Shares of helix, strand and coil (P-SEA, from 0 to 1) and radius of gyration in Å."""

    helix: float
    strand: float
    coil: float
    rg: float


def measure_shape(ca: Float[np.ndarray, "n 3"]) -> ChainShape:
    """Measure a chain from its C-alpha positions in Å, at least one and all finite."""
    codes = secondary_structure(ca)
    helix, strand, coil = (codes.count(code) / len(codes) for code in "HEC")
    positions = ca.astype(np.float64)
    squared = ((positions - positions.mean(axis=0)) ** 2).sum(axis=-1)
    return ChainShape(helix, strand, coil, rg=float(np.sqrt(squared.mean())))


def expected_rg(length: int) -> float:
    """Return the radius of gyration in Å of a globular chain: 2.2 n^0.38.

    Skolnick et al. 1997, J. Mol. Biol. 265, 217, give this law for single-domain proteins.
    """
    return 2.2 * length**0.38
