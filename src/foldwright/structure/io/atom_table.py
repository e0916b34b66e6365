"""Atoms of one model as a file lists them, before they are sorted into chains."""

from dataclasses import dataclass, fields
from enum import IntEnum

import numpy as np
from jaxtyping import Bool, Float32, Int, Shaped


class InPolymer(IntEnum):
    """What the file itself says about an atom's residue being part of a polymer."""

    NO = 0
    YES = 1
    UNSAID = 2


@dataclass(frozen=True)
class AtomTable:
    """Columns of a structure file, one entry per atom, in file order.

    Attributes:
        hetero: a HETATM record.
        altlocs: label of the alternative conformation, empty for none.
        molecule: rises where the file marks the end of a molecule (TER, another label chain).
        in_polymer: values of `InPolymer`.
    """

    hetero: Bool[np.ndarray, " a"]
    atom_names: Shaped[np.ndarray, " a"]
    elements: Shaped[np.ndarray, " a"]
    altlocs: Shaped[np.ndarray, " a"]
    residue_names: Shaped[np.ndarray, " a"]
    residue_numbers: Int[np.ndarray, " a"]
    insertion_codes: Shaped[np.ndarray, " a"]
    chain_ids: Shaped[np.ndarray, " a"]
    molecule: Int[np.ndarray, " a"]
    in_polymer: Int[np.ndarray, " a"]
    coords: Float32[np.ndarray, "a 3"]
    occupancy: Float32[np.ndarray, " a"]
    b_factor: Float32[np.ndarray, " a"]

    def __len__(self) -> int:
        return len(self.atom_names)

    def take(self, chosen: Shaped[np.ndarray, " chosen"]) -> "AtomTable":
        """Return the atoms that an index array or a mask chooses."""
        return AtomTable(**{f.name: getattr(self, f.name)[chosen] for f in fields(self)})


@dataclass(frozen=True)
class ParsedFile:
    """One model of a structure file and what its header says."""

    atoms: AtomTable
    num_models: int
    name: str | None
    method: str | None
    resolution: float | None
