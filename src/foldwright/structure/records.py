"""Chains and structures as frozen, validated records of numpy arrays."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Float32, Int, Shaped

from foldwright.chem.backbone_geometry import BACKBONE_ATOMS
from foldwright.chem.residues import (
    NUCLEOTIDE_LETTERS,
    PROTEIN_LETTERS,
    THREE_LETTER_NAMES,
    UNKNOWN_LETTER,
)
from foldwright.runtime.errors import InputError, Problem
from foldwright.structure.continuity import find_breaks

ChainKind = Literal["protein", "nucleic", "ligand"]

_LETTERS = {
    "protein": PROTEIN_LETTERS,
    "nucleic": NUCLEOTIDE_LETTERS,
    "ligand": UNKNOWN_LETTER,
}
_RESIDUE_FIELDS = {"residue_names": str, "residue_numbers": np.int32, "insertion_codes": str}
_ATOM_FIELDS = {
    "atom_names": str,
    "elements": str,
    "coords": np.float32,
    "occupancy": np.float32,
    "b_factor": np.float32,
    "atom_residue_index": np.int64,
}


@dataclass(frozen=True, eq=False)
class Chain:
    """One protein or nucleic acid chain, or the ligands that share a chain name.

    Arrays are copied, made read-only and kept as float32, int32 (numbers) or text; single texts
    are plain `str`, also where a numpy string was given. Residues stand
    in file order; the atoms of a residue are contiguous, and every residue has at least one.
    Numbers and insertion codes are the author's.

    Attributes:
        chain_id: the author's name of the chain; may be empty or longer than one letter.
        kind: what the residues are. In a ligand chain every residue is a molecule of its own.
        sequence: one letter per residue, the parent's for modified ones; `X` (in nucleic acids
            `N`) is unknown. All `X` for ligands.
        coords: atom positions in Å, finite.
        atom_residue_index: for each atom the position of its residue, rising.
    """

    chain_id: str
    kind: ChainKind
    sequence: str
    residue_names: Shaped[np.ndarray, " n"]
    residue_numbers: Int[np.ndarray, " n"]
    insertion_codes: Shaped[np.ndarray, " n"]
    atom_names: Shaped[np.ndarray, " a"]
    elements: Shaped[np.ndarray, " a"]
    coords: Float[np.ndarray, "a 3"]
    occupancy: Float[np.ndarray, " a"]
    b_factor: Float[np.ndarray, " a"]
    atom_residue_index: Int[np.ndarray, " a"]

    def __post_init__(self) -> None:
        for name, dtype in (_RESIDUE_FIELDS | _ATOM_FIELDS).items():
            array: np.ndarray = np.array(getattr(self, name), dtype=dtype)
            array.flags.writeable = False
            object.__setattr__(self, name, array)
        _make_plain(self, "chain_id", "kind", "sequence")
        messages = self._shape_problems() or self._content_problems()
        if messages:
            raise InputError([Problem(f"chain {self.chain_id!r}", text) for text in messages])

    @classmethod
    def from_backbone(
        cls,
        coords: Float[np.ndarray, "n 4 3"],
        chain_id: str = "A",
        sequence: str | None = None,
    ) -> "Chain":
        """Make a protein chain from N, CA, C and O positions in Å.

        Residues are numbered from 1. A NaN atom is left out; a residue without any atom is an
        error. Without a sequence the residues are glycine, which is what a bare backbone is.

        Raises:
            InputError: the sequence does not fit, or a residue has no atom.
        """
        length = len(coords)
        letters = "G" * length if sequence is None else sequence
        unknown = sorted(set(letters) - set(PROTEIN_LETTERS))
        if unknown or len(letters) != length:
            raise InputError(
                f"a sequence of {len(letters)} letters for {length} residues"
                f"{' with the unknown letters ' + ''.join(unknown) if unknown else ''}: "
                f"write one of {PROTEIN_LETTERS} for each residue"
            )
        present = ~np.isnan(coords).any(axis=-1)
        residue_index, atom_index = np.nonzero(present)
        names = np.array(BACKBONE_ATOMS)[atom_index]
        return cls(
            chain_id=chain_id,
            kind="protein",
            sequence=letters,
            residue_names=np.array([THREE_LETTER_NAMES[letter] for letter in letters], dtype=str),
            residue_numbers=np.arange(1, length + 1),
            insertion_codes=np.full(length, ""),
            atom_names=names,
            elements=names.astype("U1"),
            coords=coords[present],
            occupancy=np.ones(len(names)),
            b_factor=np.zeros(len(names)),
            atom_residue_index=residue_index,
        )

    def __len__(self) -> int:
        return len(self.residue_names)

    @property
    def ca(self) -> Float32[np.ndarray, "n 3"]:
        """C-alpha positions in Å; NaN where the atom is missing."""
        return self._atom_positions("CA")

    def backbone(self) -> Float32[np.ndarray, "n 4 3"]:
        """N, CA, C and O positions in Å; NaN where an atom is missing."""
        return np.stack([self._atom_positions(name) for name in BACKBONE_ATOMS], axis=1)

    def breaks(self) -> Int[np.ndarray, " breaks"]:
        """Indices i with a chain break between residues i and i+1, from distances alone.

        Meant for protein chains; a residue without CA is cut off on both sides.
        """
        n, ca, c = (self._atom_positions(name) for name in ("N", "CA", "C"))
        return find_breaks(ca, c=c, n=n)

    def _atom_positions(self, name: str) -> Float32[np.ndarray, "n 3"]:
        # The element keeps a calcium ion apart from a C-alpha: both are called CA.
        chosen = (self.atom_names == name) & (self.elements == name[0])
        positions = np.full((len(self), 3), np.nan, dtype=np.float32)
        positions[self.atom_residue_index[chosen]] = self.coords[chosen]
        return positions

    def _shape_problems(self) -> list[str]:
        expected: dict[str, tuple[int, ...]] = {}
        expected |= {name: (len(self.residue_names),) for name in _RESIDUE_FIELDS}
        expected |= {name: (len(self.atom_names),) for name in _ATOM_FIELDS}
        expected["coords"] = (len(self.atom_names), 3)
        return [
            f"{name} has the shape {getattr(self, name).shape}, expected {shape}"
            for name, shape in expected.items()
            if getattr(self, name).shape != shape
        ]

    def _content_problems(self) -> list[str]:
        length, letters = len(self), _LETTERS.get(self.kind, "")
        checks = [
            (length > 0, "no residues: a chain has at least one"),
            (self._residues_are_filled(), "atom_residue_index must rise from 0 without a gap"),
            (self.kind in _LETTERS, f"the kind {self.kind!r} is not one of {', '.join(_LETTERS)}"),
            (
                len(self.sequence) == length and set(self.sequence) <= set(letters),
                f"the sequence {self.sequence!r} must have {length} of the letters {letters}",
            ),
        ]
        problems = [message for holds, message in checks if not holds]
        return problems + self._number_problems()

    def _residues_are_filled(self) -> bool:
        index = self.atom_residue_index
        return np.array_equal(np.unique(index), np.arange(len(self))) and bool(
            (np.diff(index) >= 0).all()
        )

    def _number_problems(self) -> list[str]:
        problems = []
        for name in ("coords", "occupancy", "b_factor"):
            values = getattr(self, name).reshape(len(self.atom_names), -1)
            bad: Bool[np.ndarray, " a"] = ~np.isfinite(values).all(axis=-1)
            if bad.any():
                first = int(np.flatnonzero(bad)[0])
                residue = self.atom_residue_index[first]
                problems.append(
                    f"{name} of {bad.sum()} atoms is not a finite number, first at "
                    f"{self.atom_names[first]} of {self.residue_names[residue]} "
                    f"{self.residue_numbers[residue]}"
                )
        return problems


@dataclass(frozen=True)
class Structure:
    """The chains of one model of a structure file.

    Attributes:
        name: the entry's code, or the file's name where it has none.
        chains: in file order; water is never among them.
        method: experimental method as the file words it, None if it does not say.
        resolution: in Å, None where there is none.
        num_models: how many models the file holds; the chains are those of one.
    """

    name: str
    chains: tuple[Chain, ...]
    method: str | None = None
    resolution: float | None = None
    num_models: int = 1

    def __post_init__(self) -> None:
        _make_plain(self, "name", "method")
        if not self.chains:
            raise InputError(f"the structure {self.name!r} has no chains: it needs one at least")

    @property
    def protein_chains(self) -> tuple[Chain, ...]:
        """The protein chains, in file order."""
        return tuple(chain for chain in self.chains if chain.kind == "protein")


def _make_plain(record: Chain | Structure, *names: str) -> None:
    """Turn texts of other types into `str`: a numpy string is one, but not to every serialiser."""
    for name in names:
        value = getattr(record, name)
        if value is not None:
            object.__setattr__(record, name, str(value))
