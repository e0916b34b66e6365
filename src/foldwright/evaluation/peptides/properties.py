"""Physical and chemical properties of peptides, through the library `peptides`."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np
import peptides
from jaxtyping import Float64

from foldwright.sequence.residues import RESIDUES

PH = 7.0
CHARGE_SCALE = "Lehninger"
ISOELECTRIC_SCALE = "EMBOSS"
HYDROPHOBICITY_SCALE = "Eisenberg"

_MEASURES: Mapping[str, Callable[[peptides.Peptide], float]] = MappingProxyType(
    {
        "charge": lambda one: one.charge(pH=PH, pKscale=CHARGE_SCALE),
        "hydrophobicity": lambda one: one.hydrophobicity(scale=HYDROPHOBICITY_SCALE),
        "hydrophobic_moment": lambda one: one.hydrophobic_moment(window=11, angle=100),
        "instability": lambda one: one.instability_index(),
        "isoelectric_point": lambda one: one.isoelectric_point(pKscale=ISOELECTRIC_SCALE),
        "aliphatic_index": lambda one: one.aliphatic_index(),
        "boman": lambda one: one.boman(),
    }
)

PROPERTIES = tuple(_MEASURES)
"""Names of the properties, in the order of the columns."""


def measure_properties(sequences: Sequence[str]) -> Float64[np.ndarray, "p 7"]:
    """Return seven properties of each peptide.

    Net charge at pH 7 (Henderson-Hasselbalch, Lehninger's pK, free ends); mean hydrophobicity and
    largest moment of eleven residues of a helix (Eisenberg's consensus scale, 100° per residue);
    instability index (Guruprasad et al. 1990); isoelectric point (EMBOSS's pK); aliphatic index
    (Ikai 1980); Boman index (Boman 2003). Amidated ends and bridges are not known here.
    """
    rows = [[measure(peptides.Peptide(one)) for measure in _MEASURES.values()] for one in sequences]
    return np.array(rows, dtype=np.float64).reshape(len(sequences), len(_MEASURES))


def residue_scales() -> Float64[np.ndarray, "20 5"]:
    """Return hydrophobicity (Eisenberg), charge, and three z-scales of the residues.

    The z-scales (Sandberg et al. 1998) are lipophilicity, bulk and polarity. Every column has mean
    0 and variance 1 over the 20 residues.
    """
    tables = peptides.tables
    charges = {"K": 1.0, "R": 1.0, "H": 0.1, "D": -1.0, "E": -1.0}
    columns = [
        tables.HYDROPHOBICITY[HYDROPHOBICITY_SCALE],
        charges,
        *(tables.Z_SCALES[f"Z{number}"] for number in (1, 2, 3)),
    ]
    values = np.array([[column.get(one, 0.0) for column in columns] for one in RESIDUES])
    return (values - values.mean(axis=0)) / values.std(axis=0)
