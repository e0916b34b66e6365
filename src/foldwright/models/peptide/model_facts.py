"""What settings of a run are checked against."""

from dataclasses import dataclass

from jaxtyping import Int64
from torch import Tensor


@dataclass(frozen=True)
class ModelFacts:
    """What settings are checked against; `inactive_counts` is None for weights that do not know."""

    labels: tuple[str, ...]
    max_length: int
    num_timesteps: int
    length_counts: Int64[Tensor, "r c"]
    inactive_counts: Int64[Tensor, " l"] | None = None
    takes_structures: bool = True

    def has_learned(self, label: int, value: int) -> bool:
        """Whether a label was 1, or 0, for any training peptide, as far as is known."""
        if value == 1:
            return int(self.length_counts[label].sum()) > 0
        return self.inactive_counts is None or int(self.inactive_counts[label]) > 0

    @property
    def shortest(self) -> int:
        """Residues of the shortest training peptide."""
        found = self.length_counts[-1].nonzero().flatten()
        return int(found[0]) if len(found) else 1
