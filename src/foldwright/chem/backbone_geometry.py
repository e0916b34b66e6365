"""Ideal backbone geometry of a peptide chain, in Å and radians.

Bond lengths and angles: Engh and Huber 2001, International Tables for Crystallography F, 18.3,
values for residues other than glycine and proline. The C-alpha distances follow from them for a
planar trans and cis peptide.
"""

from math import radians
from types import MappingProxyType

BACKBONE_ATOMS = ("N", "CA", "C", "O")

BOND_LENGTHS = MappingProxyType(
    {("N", "CA"): 1.459, ("CA", "C"): 1.525, ("C", "N"): 1.336, ("C", "O"): 1.229}
)
"""`("C", "N")` is the peptide bond to the next residue."""

BOND_ANGLES = MappingProxyType(
    {
        ("N", "CA", "C"): radians(111.0),
        ("CA", "C", "N"): radians(117.2),
        ("C", "N", "CA"): radians(121.7),
        ("CA", "C", "O"): radians(120.1),
        ("O", "C", "N"): radians(122.7),
    }
)

CA_CA_TRANS = 3.80
CA_CA_CIS = 2.95

CA_CA_BREAK = 4.25
"""Neighbouring C-alpha farther apart than this are not joined by a peptide bond."""

CA_CA_OVERLAP = 2.5
"""Neighbouring C-alpha closer than this are not two residues of one chain."""

C_N_BREAK = 1.9
"""A carbonyl carbon and the next nitrogen farther apart than this are not bonded."""
