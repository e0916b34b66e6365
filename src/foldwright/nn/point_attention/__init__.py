"""Invariant point attention from its terms: one exact result, computed in several ways.

`attend` takes what one attention needs and picks a back end, one per module. `terms` are the
records, `choice` says what `auto` stands for, `crossover` measures it, `ligand` adds keys that are
no residues.
"""

from foldwright.nn.point_attention.back_ends import attend
from foldwright.nn.point_attention.choice import PointBackend
from foldwright.nn.point_attention.ligand import (
    ExtraKeys,
    LigandAtoms,
    LigandKeys,
    with_extra_keys,
)
from foldwright.nn.point_attention.terms import (
    Attended,
    DenseTerms,
    FactorTerms,
    NeighbourTerms,
    PairTerms,
    PointAttentionTerms,
)

__all__ = [
    "Attended",
    "DenseTerms",
    "ExtraKeys",
    "FactorTerms",
    "LigandAtoms",
    "LigandKeys",
    "NeighbourTerms",
    "PairTerms",
    "PointAttentionTerms",
    "PointBackend",
    "attend",
    "with_extra_keys",
]
