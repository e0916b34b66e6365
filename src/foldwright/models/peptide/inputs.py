"""What enters the peptide model: padded batches, and what a peptide is asked to be."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int, Int8, Int64
from torch import Tensor

from foldwright.models.peptide.features import StructureFeatures

MASK_TOKEN = 20
PAD_TOKEN = 21
NUM_TOKENS = 22
"""20 residues, the mask and padding."""

SECONDARY_CODES = "?HEC"
"""Letters of the secondary structure in the order of their numbers; 0 is unknown."""

UNKNOWN_LABEL = -1


@dataclass(frozen=True, eq=False)
class Condition:
    """What peptides are asked to be.

    Attributes:
        labels: 1 active, 0 not active, -1 no matter.
        secondary: 0 no matter, 1 helix, 2 strand, 3 coil, by residue.
        structure: features of the structure, or None.
    """

    labels: Int8[Tensor, "b l"]
    secondary: Int64[Tensor, "b n"]
    structure: StructureFeatures | None = None

    @classmethod
    def null(
        cls,
        batch_size: int,
        length: int,
        num_labels: int,
        device: torch.device | str = "cpu",
    ) -> "Condition":
        """Return the condition that asks for nothing."""
        return cls(
            torch.full((batch_size, num_labels), UNKNOWN_LABEL, dtype=torch.int8, device=device),
            torch.zeros(batch_size, length, dtype=torch.int64, device=device),
        )


@dataclass(frozen=True, eq=False)
class PeptideBatch:
    """Peptides, real residues first; tokens of padding are `PAD_TOKEN`.

    `epoch` is that of the run the batch belongs to.
    """

    tokens: Int64[Tensor, "b n"]
    mask: Bool[Tensor, "b n"]
    labels: Int8[Tensor, "b l"]
    secondary: Int64[Tensor, "b n"]
    structure: StructureFeatures | None
    names: tuple[str, ...]
    epoch: int = 0

    def __post_init__(self) -> None:
        if len(self.names) != self.tokens.shape[0]:
            raise ValueError(f"{self.tokens.shape[0]} peptides but {len(self.names)} names")

    @property
    def condition(self) -> Condition:
        """All that is known of the peptides."""
        return Condition(self.labels, self.secondary, self.structure)

    def to(self, device: torch.device) -> "PeptideBatch":
        """Copy the tensors to a device."""
        return PeptideBatch(
            self.tokens.to(device, non_blocking=True),
            self.mask.to(device, non_blocking=True),
            self.labels.to(device, non_blocking=True),
            self.secondary.to(device, non_blocking=True),
            None if self.structure is None else self.structure.to(device),
            self.names,
            self.epoch,
        )

    def pin_memory(self) -> "PeptideBatch":
        """Copy the tensors to pinned memory, from which CUDA copies without waiting."""
        return PeptideBatch(
            self.tokens.pin_memory(),
            self.mask.pin_memory(),
            self.labels.pin_memory(),
            self.secondary.pin_memory(),
            None if self.structure is None else self.structure.pin_memory(),
            self.names,
            self.epoch,
        )


def collate_peptides(
    tokens: Sequence[Int[Tensor, " _"]],
    labels: Sequence[Int8[Tensor, " l"]],
    names: Sequence[str],
    *,
    structures: Sequence[StructureFeatures | None] | None = None,
) -> PeptideBatch:
    """Pad peptides to the longest one.

    `structures` has the features of each peptide (a batch of one), or None where it has none; the
    secondary structure is taken from them.
    """
    width = max(len(one) for one in tokens)
    padded = torch.full((len(tokens), width), PAD_TOKEN, dtype=torch.int64)
    mask = torch.zeros(len(tokens), width, dtype=torch.bool)
    for row, one in enumerate(tokens):
        padded[row, : len(one)] = one
        mask[row, : len(one)] = True
    features = None
    if structures is not None and any(one is not None for one in structures):
        features = StructureFeatures.stack(structures, width)
    secondary = torch.zeros_like(padded) if features is None else features.secondary
    return PeptideBatch(padded, mask, torch.stack(list(labels)), secondary, features, tuple(names))
