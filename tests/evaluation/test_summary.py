from dataclasses import replace
from functools import cache

import pytest

from foldwright.evaluation.metrics import METRICS, Gate, Metric, average
from foldwright.evaluation.natural import load_natural
from foldwright.evaluation.scores import DesignScores, score_chain
from foldwright.evaluation.summary import SummaryLine, summarise, summarise_by_length
from tests.evaluation.conftest import build_trace, chain_of

NATURAL = load_natural()


@cache
def helix(length: int) -> DesignScores:
    return score_chain(chain_of(build_trace(length)), name="x", band=NATURAL.size_band)


def design(length: int = 100, **changes: float | bool | None) -> DesignScores:
    """A design with the given scores and otherwise those of a helix."""
    scores = helix(length)
    good = {"rg_in_band": True, "strand_rich": True} | changes
    for part in ("trace", "fold"):
        inner = getattr(scores, part)
        here = {key: good.pop(key) for key in list(good) if hasattr(inner, key)}
        scores = replace(scores, **{part: replace(inner, **here)})
    return replace(scores, **good)


def line_of(lines: tuple[SummaryLine, ...], key: str) -> SummaryLine:
    return next(line for line in lines if line.key == key)


def test_averages_weigh_what_was_counted():
    rows = [{"share": 1.0, "count": 10}, {"share": 0.0, "count": 30}, {"share": None, "count": 5}]
    assert average(Metric("share", "", weight="count"), rows) == 0.25
    assert average(Metric("share", ""), rows) == 0.5
    assert average(Metric("share", ""), [{"share": True}, {"share": False}]) == 0.5
    assert average(Metric("share", ""), rows[2:]) is None


def test_gates_hold_at_their_limit():
    assert [Gate(0.99, True).passes(value) for value in (0.989, 0.99, 1.0)] == [False, True, True]
    assert [Gate(3.0, False).passes(value) for value in (2.9, 3.0, 3.1)] == [True, True, False]


def test_the_gates_are_those_promised():
    promised = {
        metric.key: (metric.gate.at_least, metric.gate.limit)
        for metric in METRICS
        if metric.gate is not None
    }
    assert promised == {
        "bond_share": (True, 0.99),
        "clashes_36": (False, 3.0),
        "rg_in_band": (True, 0.80),
        "strand_rich": (True, 0.30),
        "mirror_dihedral_share": (False, 0.04),
    }


def test_good_designs_pass_every_gate():
    summary = summarise([design(), design(64)], NATURAL)
    assert summary.passed
    assert (summary.num_designs, summary.shortest, summary.longest) == (2, 64, 100)
    assert [line.passed for line in summary.lines if line.gate] == [True] * 5


@pytest.mark.parametrize(
    ("key", "bad", "gate"),
    [
        ("bond_share", 0.97, ">= 99 %"),
        ("clashes_36", 6.1, "<= 3"),
        ("rg_in_band", False, ">= 80 %"),
        ("mirror_dihedral_share", 0.09, "<= 4 %"),
    ],
)
def test_one_spoilt_design_of_two_misses_its_gate_alone(key: str, bad: float | bool, gate: str):
    summary = summarise([design(), design(**{key: bad})], NATURAL)
    assert not summary.passed
    assert [line.key for line in summary.lines if line.passed is False] == [key]
    assert line_of(summary.lines, key).gate == gate


def test_strands_may_be_absent_from_most_designs_but_not_from_all():
    few = [design(), *[design(strand_rich=False)] * 2]
    assert line_of(summarise(few, NATURAL).lines, "strand_rich").passed
    none = [design(strand_rich=False)]
    assert not line_of(summarise(none, NATURAL).lines, "strand_rich").passed


def test_longer_designs_weigh_more_where_residues_are_counted():
    summary = summarise([design(50, clashes_36=0.0), design(150, clashes_36=4.0)], NATURAL)
    assert line_of(summary.lines, "clashes_36").value == 3.0
    shares = [design(51, bond_share=1.0), design(151, bond_share=0.96)]
    assert line_of(summarise(shares, NATURAL).lines, "bond_share").value == pytest.approx(0.97)


def test_a_gate_without_a_value_is_not_passed():
    summary = summarise([design(rg_in_band=None)], NATURAL)
    assert line_of(summary.lines, "rg_in_band").value is None
    assert line_of(summary.lines, "rg_in_band").passed is None
    assert not summary.passed


def test_natural_values_are_mixed_as_the_lengths_are():
    small, middle = NATURAL.bins[1:3]
    lines = summarise([design(100), design(100), design(200)], NATURAL).lines
    found = line_of(lines, "contacts")
    expected = (2 * small.scores["contacts"].high + middle.scores["contacts"].high) / 3
    assert found.natural_high == pytest.approx(expected)
    assert line_of(lines, "strand_rich").natural_high is None
    assert line_of(summarise([design(30)], NATURAL).lines, "contacts").natural is None


def test_each_length_bin_is_summed_up_alone():
    parts = summarise_by_length([design(128), design(64), design(100), design(30)], NATURAL)
    found = [(part.num_designs, part.shortest, part.longest) for part in parts]
    assert found == [(2, 64, 100), (1, 128, 128)]
