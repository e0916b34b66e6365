"""The natural reference: what real chains score, by length.

The table `natural.json` is made by `recipes/natural_reference/compute.py`; its `provenance`
says from what.
"""

from bisect import bisect_right
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from math import log

from pydantic import TypeAdapter


@dataclass(frozen=True)
class Spread:
    """How one score is spread over natural chains: pooled mean and percentiles 5, 50, 95."""

    mean: float
    low: float
    median: float
    high: float


@dataclass(frozen=True)
class NaturalBin:
    """Scores of the natural chains with `first` to `last` residues, by the names of `row()`."""

    first: int
    last: int
    num_chains: int
    scores: dict[str, Spread]


@dataclass(frozen=True)
class Histogram:
    """Shares of values in equal bins between two ends; they add up to 1."""

    start: float
    stop: float
    shares: tuple[float, ...]


@dataclass(frozen=True)
class SizeBand:
    """Radius of gyration (Å) of natural chains as a smooth function of length.

    Percentiles 5, 50 and 95 at some lengths; between them the logarithms are linear.
    """

    lengths: tuple[int, ...]
    low: tuple[float, ...]
    median: tuple[float, ...]
    high: tuple[float, ...]

    def at(self, length: int) -> tuple[float, float, float] | None:
        """Percentiles 5, 50 and 95 at a length; None beyond the lengths of the table."""
        if not self.lengths[0] <= length <= self.lengths[-1]:
            return None
        place = min(bisect_right(self.lengths, length), len(self.lengths) - 1)
        below, above = self.lengths[place - 1], self.lengths[place]
        part = log(length / below) / log(above / below)
        low, median, high = (
            row[place - 1] ** (1 - part) * row[place] ** part
            for row in (self.low, self.median, self.high)
        )
        return low, median, high

    def holds(self, length: int, radius: float) -> bool | None:
        """Whether a radius lies between percentiles 5 and 95; None beyond the table."""
        band = self.at(length)
        return None if band is None else band[0] <= radius <= band[2]


@dataclass(frozen=True)
class NaturalReference:
    """Everything the package knows about natural chains.

    Attributes:
        provenance: data, selection, date and command behind the numbers.
        bins: scores by length, shortest first, without gaps.
        size_band: radius of gyration by length.
        histograms: `bonds` in Å, `angles_deg` and `dihedrals_deg` of all chains together.
    """

    provenance: dict[str, str | int]
    bins: tuple[NaturalBin, ...]
    size_band: SizeBand
    histograms: dict[str, Histogram]

    def bin_of(self, length: int) -> NaturalBin | None:
        """Return the bin that holds a length, None beyond the reference."""
        return next((bin for bin in self.bins if bin.first <= length <= bin.last), None)


NATURAL_JSON = TypeAdapter(NaturalReference)
"""Turns a reference into JSON and back, with checks."""


@cache
def load_natural() -> NaturalReference:
    """Return the reference shipped with the package."""
    return NATURAL_JSON.validate_json(
        files("foldwright.evaluation").joinpath("natural.json").read_bytes()
    )
