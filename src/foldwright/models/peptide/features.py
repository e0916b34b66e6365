"""Numbers per residue that describe a predicted structure."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int64
from torch import Tensor

from foldwright.geometry.torsion import dihedral_angle
from foldwright.nn.embedding import gaussian_basis
from foldwright.structure.secondary import secondary_structure

_CODES = {"H": 1, "E": 2, "C": 3}
_NUM_TORSIONS = 3
_DISTANCE_BINS = 16
_FARTHEST = 30.0
_CONTACT = 8.0
_CONTACT_SPANS = ((2, 3), (4, 6), (7, None))
"""Distances along the chain whose contacts are counted apart: turns, helices, the rest."""

CONFIDENCE = slice(0, 1)
"""pLDDT as a share of 1."""
TORSIONS = slice(1, 1 + 3 * _NUM_TORSIONS)
"""Cosine, sine and existence of phi, psi and omega."""
DISTANCES = slice(TORSIONS.stop, TORSIONS.stop + _DISTANCE_BINS)
"""Share of other CA atoms at each distance (Gaussians on a grid from 0 to 30 Å)."""
CONTACTS = slice(DISTANCES.stop, DISTANCES.stop + len(_CONTACT_SPANS))
"""CA atoms within 8 Å, over 4, by distance along the chain: 2-3, 4-6, more."""
NUM_FEATURES = CONTACTS.stop


@dataclass(frozen=True, eq=False)
class StructureFeatures:
    """Features of structures by residue; rows without a structure have no residue in `mask`.

    Attributes:
        values: numbers by residue (see the slices of this module), zero where there is none.
        secondary: 0 unknown, 1 helix, 2 strand, 3 coil.
        mask: residues that have features.
    """

    values: Float[Tensor, "b n f"]
    secondary: Int64[Tensor, "b n"]
    mask: Bool[Tensor, "b n"]

    @classmethod
    def of_structure(
        cls,
        backbone: Float[np.ndarray, "n 4 3"],
        atom_exists: Bool[np.ndarray, "n 4"],
        plddt: Float[np.ndarray, " n"],
    ) -> "StructureFeatures":
        """Describe one structure, as a batch of one.

        `backbone` is N, CA, C, O in Å, `plddt` from 0 to 100. Torsions that need a missing atom,
        and those over the ends, do not exist; residues without CA have no distances.
        """
        atoms = torch.from_numpy(np.asarray(backbone, dtype=np.float32))
        exists = torch.from_numpy(np.array(atom_exists, dtype=bool))
        values = torch.cat(
            [
                torch.from_numpy(np.asarray(plddt, dtype=np.float32))[:, None] / 100.0,
                _torsions(atoms, exists),
                *_distances(atoms[:, 1], exists[:, 1]),
            ],
            dim=-1,
        )
        ca = np.where(atom_exists[:, 1:2], backbone[:, 1], np.nan)
        codes = torch.tensor([[_CODES[letter] for letter in secondary_structure(ca)]])
        return cls(values[None], codes, torch.ones(1, len(values), dtype=torch.bool))

    @classmethod
    def stack(cls, items: Sequence["StructureFeatures | None"], width: int) -> "StructureFeatures":
        """Pad features of single peptides to one width; None is a peptide without a structure."""
        values = torch.zeros(len(items), width, NUM_FEATURES)
        secondary = torch.zeros(len(items), width, dtype=torch.int64)
        mask = torch.zeros(len(items), width, dtype=torch.bool)
        for row, item in enumerate(items):
            if item is not None:
                length = item.values.shape[1]
                values[row, :length] = item.values[0]
                secondary[row, :length] = item.secondary[0]
                mask[row, :length] = item.mask[0]
        return cls(values, secondary, mask)

    def keep(self, rows: Bool[Tensor, " b"]) -> "StructureFeatures":
        """Drop the whole block of features of the rows that are not named."""
        kept = rows[:, None]
        return StructureFeatures(
            self.values * kept[..., None], self.secondary * kept, self.mask & kept
        )

    def repeat(self, count: int) -> "StructureFeatures":
        """The features of one structure for each row of a batch."""
        return StructureFeatures(
            *(one.expand(count, *one.shape[1:]) for one in (self.values, self.secondary, self.mask))
        )

    def to(self, device: torch.device) -> "StructureFeatures":
        """Copy the tensors to a device."""
        return StructureFeatures(
            self.values.to(device, non_blocking=True),
            self.secondary.to(device, non_blocking=True),
            self.mask.to(device, non_blocking=True),
        )

    def pin_memory(self) -> "StructureFeatures":
        """Copy the tensors to pinned memory, from which CUDA copies without waiting."""
        return StructureFeatures(
            self.values.pin_memory(), self.secondary.pin_memory(), self.mask.pin_memory()
        )


def _torsions(
    atoms: Float32[Tensor, "n 4 3"], exists: Bool[Tensor, "n 4"]
) -> Float32[Tensor, "n 9"]:
    """Cosine, sine and existence of phi, psi and omega: no jump where an angle passes 180°."""
    n, ca, c = atoms[:, 0], atoms[:, 1], atoms[:, 2]
    here = exists[:, :3].all(dim=1)
    has_n, has_ca, has_c = exists[:, 0], exists[:, 1], exists[:, 2]
    columns = []
    for angle, real, at_end in (
        (dihedral_angle(c[:-1], n[1:], ca[1:], c[1:]), has_c[:-1] & here[1:], False),
        (dihedral_angle(n[:-1], ca[:-1], c[:-1], n[1:]), here[:-1] & has_n[1:], True),
        (
            dihedral_angle(ca[:-1], c[:-1], n[1:], ca[1:]),
            has_ca[:-1] & has_c[:-1] & has_n[1:] & has_ca[1:],
            True,
        ),
    ):
        known = torch.stack([angle.cos() * real, angle.sin() * real, real.float()], dim=-1)
        end = torch.zeros(1, 3)
        columns.append(torch.cat([known, end] if at_end else [end, known]))
    return torch.cat(columns, dim=-1)


def _distances(
    ca: Float32[Tensor, "n 3"], exists: Bool[Tensor, " n"]
) -> tuple[Float32[Tensor, "n d"], Float32[Tensor, "n k"]]:
    """Distances of CA atoms pooled by residue, and numbers of contacts."""
    n = len(ca)
    position = torch.arange(n)
    span = (position[:, None] - position).abs()
    real = exists[:, None] & exists & (span > 0)
    distance = torch.cdist(ca, ca)
    basis = gaussian_basis(distance, maximum=_FARTHEST, count=_DISTANCE_BINS)
    pooled = (basis * real[..., None]).sum(1) / real.sum(1, keepdim=True).clamp(min=1)
    near = real & (distance < _CONTACT)
    counts = [
        (near & (span >= low) & (span <= (high or n))).sum(1) / 4.0 for low, high in _CONTACT_SPANS
    ]
    return pooled, torch.stack(counts, dim=-1)
