"""What a model's weights remember of its training peptides: enough to tell copies, no sequence."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int8, Int64, Shaped
from torch import Tensor

from foldwright.data.peptide_store import PeptideStore

_DIGESTS = "seen.digests"
_INACTIVE = "seen.inactive"
_BYTES = 8


@dataclass(frozen=True, eq=False)
class SeenPeptides:
    """The training peptides as digests, and how many are known not to have each label.

    A digest is the first 8 bytes of the SHA-256 of the letters, so another peptide is taken for one
    of 100,000 once in 10^14 times. Digests tell whether a peptide is among them and do not hold it,
    though who tries all peptides of a few residues finds the short ones.

    Attributes:
        digests: rising, without repetition.
        inactive: training peptides with a 0, by label; a label without any was never learned as 0.
    """

    digests: Int64[Tensor, " p"]
    inactive: Int64[Tensor, " l"]

    @classmethod
    def build(cls, sequences: Iterable[str], labels: Int8[np.ndarray, "p l"]) -> "SeenPeptides":
        """Remember training peptides and their labels (1, 0, -1 unknown)."""
        digests = np.unique(np.array([_digest(one) for one in sequences], dtype=np.int64))
        return cls(torch.from_numpy(digests), torch.from_numpy((labels == 0).sum(0)))

    @classmethod
    def of_store(cls, store: PeptideStore) -> "SeenPeptides":
        """Remember the peptides of the split `train` of a store."""
        members = store.split("train")
        return cls.build((store.sequence(int(i)) for i in members), store.labels[members])

    def holds(self, sequence: str) -> bool:
        """Whether a peptide is one of them."""
        digest = _digest(sequence)
        place = int(torch.searchsorted(self.digests, digest))
        return place < len(self.digests) and int(self.digests[place]) == digest

    def join(self, other: "SeenPeptides") -> "SeenPeptides":
        """Both, as for weights trained further on other peptides; counts are the larger ones."""
        digests = torch.cat([self.digests, other.digests]).unique()
        return SeenPeptides(digests, torch.maximum(self.inactive, other.inactive))

    def fingerprint(self) -> str:
        """What tells this list from another."""
        return hashlib.sha256(self.digests.numpy().tobytes()).hexdigest()

    def tensors(self) -> dict[str, Tensor]:
        """As entries of a weight file."""
        return {_DIGESTS: self.digests, _INACTIVE: self.inactive}


def split_state(
    state: Mapping[str, Shaped[Tensor, "..."]],
) -> tuple[dict[str, Tensor], SeenPeptides | None]:
    """Part the entries of a weight file into those of the network and what it remembers.

    Files from before there was such a list have none.
    """
    weights = {name: tensor for name, tensor in state.items() if not name.startswith("seen.")}
    if _DIGESTS not in state:
        return weights, None
    return weights, SeenPeptides(state[_DIGESTS], state[_INACTIVE])


def _digest(sequence: str) -> int:
    found = hashlib.sha256(sequence.encode("ascii")).digest()[:_BYTES]
    return int.from_bytes(found, "big", signed=True)
