"""A set of designs in a few numbers, each beside its natural value."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from foldwright.evaluation.metrics import METRICS, Metric, average
from foldwright.evaluation.natural import NaturalReference, Spread
from foldwright.evaluation.scores import DesignScores, Value


@dataclass(frozen=True)
class SummaryLine:
    """The average of one score over the designs, and the same of natural chains.

    Attributes:
        key: name of the score; `label` and `unit` are for people.
        value: None if no design has the score.
        natural: mean of the natural chains in the length bins of the designs, in the designs'
            proportions; `natural_low` and `natural_high` are percentiles 5 and 95 of single
            chains. None if no design is within the lengths of the reference, the percentiles
            also for scores that are yes or no.
        gate: the limit with its direction, None where there is none.
        passed: None without a gate or without a value.
    """

    key: str
    label: str
    unit: str
    value: float | None
    natural: float | None
    natural_low: float | None
    natural_high: float | None
    gate: str | None
    passed: bool | None


@dataclass(frozen=True)
class Summary:
    """Averages over a set of designs.

    Attributes:
        num_designs: how many there are; `shortest` and `longest` are their lengths.
        lines: one per metric.
        passed: all gates are passed; a gate without a value is not.
    """

    num_designs: int
    shortest: int
    longest: int
    lines: tuple[SummaryLine, ...]
    passed: bool


def summarise(designs: Sequence[DesignScores], natural: NaturalReference) -> Summary:
    """Average the scores of one design or more."""
    rows = [design.row() for design in designs]
    lengths = [design.length for design in designs]
    lines = tuple(_line(metric, rows, lengths, natural) for metric in METRICS)
    return Summary(
        num_designs=len(designs),
        shortest=min(lengths),
        longest=max(lengths),
        lines=lines,
        passed=all(line.passed for line in lines if line.gate is not None),
    )


def summarise_by_length(
    designs: Sequence[DesignScores], natural: NaturalReference
) -> list[Summary]:
    """Summarise the designs of each natural length bin, shortest first."""
    groups = (
        [design for design in designs if bin.first <= design.length <= bin.last]
        for bin in natural.bins
    )
    return [summarise(group, natural) for group in groups if group]


def _line(
    metric: Metric,
    rows: Sequence[Mapping[str, Value]],
    lengths: Sequence[int],
    natural: NaturalReference,
) -> SummaryLine:
    value = average(metric, rows)
    expected = _natural_spreads(metric.key, lengths, natural)
    # Percentiles of yes and no say nothing.
    ranged = [] if any(isinstance(row[metric.key], bool) for row in rows) else expected
    return SummaryLine(
        key=metric.key,
        label=metric.label,
        unit=metric.unit,
        value=value,
        natural=_mean([spread.mean for spread in expected]),
        natural_low=_mean([spread.low for spread in ranged]),
        natural_high=_mean([spread.high for spread in ranged]),
        gate=gate_text(metric),
        passed=None if metric.gate is None or value is None else metric.gate.passes(value),
    )


def gate_text(metric: Metric) -> str | None:
    """Return the gate as people write it: `>= 99 %`."""
    if metric.gate is None:
        return None
    limit = f"{100 * metric.gate.limit:g} %" if metric.unit == "%" else f"{metric.gate.limit:g}"
    return f"{'>=' if metric.gate.at_least else '<='} {limit}"


def _natural_spreads(key: str, lengths: Sequence[int], natural: NaturalReference) -> list[Spread]:
    bins = (natural.bin_of(length) for length in lengths)
    return [bin.scores[key] for bin in bins if bin is not None and key in bin.scores]


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
