"""Where a chain is interrupted: no numbering, only distances."""

import numpy as np
from jaxtyping import Float, Int

from foldwright.chem.backbone_geometry import C_N_BREAK, CA_CA_BREAK, CA_CA_OVERLAP


def find_breaks(
    ca: Float[np.ndarray, "n 3"],
    *,
    c: Float[np.ndarray, "n 3"] | None = None,
    n: Float[np.ndarray, "n 3"] | None = None,
) -> Int[np.ndarray, " breaks"]:
    """Find the residues after which a chain is interrupted.

    Residues i and i+1 are joined if both C-alpha are known and 2.5 to 4.25 Å apart, and the
    C-N bond is at most 1.9 Å where both atoms are known. NaN marks an unknown atom.

    Args:
        ca: C-alpha positions in Å.
        c: carbonyl carbon positions, for the test of the peptide bond.
        n: nitrogen positions; needed with `c`.

    Returns:
        The indices i with a break between i and i+1, rising.
    """
    ca_distance = _neighbour_distance(ca, ca)
    joined = (ca_distance >= CA_CA_OVERLAP) & (ca_distance <= CA_CA_BREAK)
    if c is not None and n is not None:
        joined &= ~(_neighbour_distance(c, n) > C_N_BREAK)
    return np.flatnonzero(~joined)


def _neighbour_distance(
    here: Float[np.ndarray, "n 3"], following: Float[np.ndarray, "n 3"]
) -> Float[np.ndarray, " pairs"]:
    return np.linalg.norm(following[1:].astype(np.float64) - here[:-1], axis=-1)
