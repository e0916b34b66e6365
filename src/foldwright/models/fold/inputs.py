"""What enters the fold network: frozen records of tensors, without a batch dimension."""

import dataclasses
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


@dataclass(frozen=True)
class Gather:
    """Where the entries of one layout lie in another.

    `index` counts in the flattened source layout; where `mask` is False the target is zero.
    """

    index: Int[Tensor, "*target"]
    mask: Bool[Tensor, "*target"]

    @cached_property
    def full(self) -> bool:
        """Whether every target has a source."""
        return bool(self.mask.all())

    def take(self, source: Tensor, *, dims: int) -> Tensor:
        """Return the source, whose first `dims` axes are its layout, in the target layout."""
        flat = source.flatten(0, dims - 1) if dims > 1 else source
        taken = flat.index_select(0, self.index.flatten())
        taken = taken.view(*self.index.shape, *flat.shape[1:])
        if self.full:
            return taken
        mask = self.mask.view(*self.mask.shape, *(1,) * (taken.ndim - self.mask.ndim))
        return taken & mask if taken.dtype == torch.bool else taken * mask.to(taken.dtype)


@dataclass(frozen=True)
class Tokens:
    """Identity of every token; padding has `mask` False."""

    index: Int[Tensor, " n"]
    residue_index: Int[Tensor, " n"]
    asym_id: Int[Tensor, " n"]
    entity_id: Int[Tensor, " n"]
    sym_id: Int[Tensor, " n"]
    residue_class: Int[Tensor, " n"]
    mask: Bool[Tensor, " n"]

    def __len__(self) -> int:
        return len(self.mask)

    @property
    def pair_mask(self) -> Bool[Tensor, "n n"]:
        """Pairs of two real tokens."""
        return self.mask[:, None] & self.mask[None, :]


@dataclass(frozen=True)
class Alignment:
    """Rows of the alignment with deletion counts, and the column statistics of all rows.

    The profile has a column for every residue class that the network knows.
    """

    rows: Int[Tensor, "s n"]
    deletions: Int[Tensor, "s n"]
    mask: Bool[Tensor, "s n"]
    profile: Float[Tensor, "n k"]
    deletion_mean: Float[Tensor, " n"]


@dataclass(frozen=True)
class Templates:
    """Template slots; empty ones have no atoms and take part all the same."""

    residue_class: Int[Tensor, "t n"]
    positions: Float[Tensor, "t n 24 3"]
    mask: Bool[Tensor, "t n 24"]


@dataclass(frozen=True)
class ReferenceAtoms:
    """Reference conformers in 24 slots per token, Å; `real` are the atoms to predict."""

    positions: Float[Tensor, "n 24 3"]
    mask: Bool[Tensor, "n 24"]
    element: Int[Tensor, "n 24"]
    charge: Float[Tensor, "n 24"]
    name_characters: Int[Tensor, "n 24 4"]
    space_uid: Int[Tensor, "n 24"]
    real: Bool[Tensor, "n 24"]


@dataclass(frozen=True)
class AtomLayout:
    """Windows of 32 query atoms with 128 key atoms each, and the ways between the layouts.

    `key_spaces` finds a key's reference space in the token-atom array by its place among the
    queries: the original program does so, and its parameters were trained with it.
    """

    token_atoms_to_queries: Gather
    tokens_to_queries: Gather
    tokens_to_keys: Gather
    queries_to_keys: Gather
    key_spaces: Gather
    queries_to_token_atoms: Gather


@dataclass(frozen=True)
class FoldInputs:
    """Everything the network needs to know about one input; `frames`: tokens to align on."""

    tokens: Tokens
    alignment: Alignment
    templates: Templates
    reference: ReferenceAtoms
    layout: AtomLayout
    pseudo_beta: Gather
    bonds: Int[Tensor, "m 2"]
    frames: Bool[Tensor, " n"]

    def to(self, device: torch.device | str) -> "FoldInputs":
        """Return the same input with all tensors on `device`."""
        moved: FoldInputs = _moved(self, torch.device(device))
        return moved


def _moved(record: Any, device: torch.device) -> Any:
    if isinstance(record, Tensor):
        return record.to(device)
    fields = dataclasses.fields(record)
    return type(record)(**{f.name: _moved(getattr(record, f.name), device) for f in fields})
