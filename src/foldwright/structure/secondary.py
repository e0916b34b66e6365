"""Secondary structure from C-alpha positions alone."""

import numpy as np
from jaxtyping import Float

from foldwright.structure.continuity import find_breaks
from foldwright.structure.io.biotite_adapter import p_sea


def secondary_structure(ca: Float[np.ndarray, "n 3"]) -> str:
    """Assign helix `H`, strand `E` or coil `C` to every residue of a chain (P-SEA).

    Distances and angles never span a chain break or a missing (NaN) C-alpha, which is coil.
    Five residues or fewer are all coil. The distances do not tell hands apart: a left-handed helix
    is `H` too.
    Labesse et al. 1997, CABIOS 13, 291.
    """
    if len(ca) == 0:
        return ""
    steps = np.ones(len(ca), dtype=np.int64)
    steps[find_breaks(ca) + 1] = 2
    return p_sea(ca, np.cumsum(steps))
