"""What enters the backbone model: padded batches of C-alpha traces."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor


@dataclass(frozen=True)
class BackboneBatch:
    """C-alpha coordinates in Å, real residues first, zeros on padding."""

    ca: Float[Tensor, "b n 3"]
    mask: Bool[Tensor, "b n"]
    names: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(self.names) != self.ca.shape[0]:
            raise ValueError(f"{self.ca.shape[0]} chains but {len(self.names)} names")

    def to(self, device: torch.device) -> "BackboneBatch":
        """Copy the tensors to a device."""
        return BackboneBatch(
            self.ca.to(device, non_blocking=True),
            self.mask.to(device, non_blocking=True),
            self.names,
        )

    def pin_memory(self) -> "BackboneBatch":
        """Copy the tensors to page-locked memory, from where a GPU fetches them while it works.

        The loop's data loader calls this for CUDA; it needs a CUDA device.
        """
        return BackboneBatch(self.ca.pin_memory(), self.mask.pin_memory(), self.names)


def collate(
    chains: Sequence[Float[Tensor, "_ 3"]],
    names: Sequence[str],
    *,
    length: int | None = None,
    compat: str | None = None,
) -> BackboneBatch:
    """Pad chains to the longest one, or to `length`, and centre each on its own residues.

    With `compat="genie-1"` the mean is taken over the padded length, zeros included, and padding
    moves with it: chains are then off centre, as in the original program.

    Raises:
        ValueError: a chain is longer than `length`.
    """
    longest = max(len(chain) for chain in chains)
    width = longest if length is None else length
    if longest > width:
        raise ValueError(f"a chain of {longest} residues does not fit a batch of length {width}")
    ca = torch.zeros(len(chains), width, 3, dtype=chains[0].dtype)
    mask = torch.zeros(len(chains), width, dtype=torch.bool)
    for row, chain in enumerate(chains):
        ca[row, : len(chain)] = chain
        mask[row, : len(chain)] = True
    ca = ca - ca.mean(dim=1, keepdim=True) if compat == "genie-1" else centre(ca, mask)
    return BackboneBatch(ca, mask, tuple(names))


def centre(ca: Float[Tensor, "b n 3"], mask: Bool[Tensor, "b n"]) -> Float[Tensor, "b n 3"]:
    """Move the mean of the real residues to the origin and zero the padding."""
    weight = mask[..., None].to(ca.dtype)
    mean = (ca * weight).sum(1, keepdim=True) / weight.sum(1, keepdim=True).clamp(min=1)
    return (ca - mean) * weight
