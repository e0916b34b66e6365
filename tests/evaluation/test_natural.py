import csv
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from foldwright.evaluation.metrics import METRICS, average
from foldwright.evaluation.natural import NATURAL_JSON, SizeBand, load_natural
from foldwright.evaluation.scores import score_chain
from foldwright.structure.records import Chain

BAND = SizeBand((50, 200), (10.0, 40.0), (12.0, 48.0), (15.0, 60.0))


def test_the_band_goes_through_its_points_and_is_straight_in_logarithms():
    assert BAND.at(50) == pytest.approx((10, 12, 15))
    assert BAND.at(200) == pytest.approx((40, 48, 60))
    assert BAND.at(100) == pytest.approx((20, 24, 30))
    assert BAND.at(71) == pytest.approx((14.2, 12 * 71 / 50, 21.3))


def test_nothing_is_said_beyond_the_table():
    assert BAND.at(49) is None
    assert BAND.at(201) is None
    assert BAND.holds(201, 40.0) is None


def test_a_radius_is_inside_between_the_outer_percentiles():
    inside = [BAND.holds(100, radius) for radius in (19.9, 20.1, 29.9, 30.1)]
    assert inside == [False, True, True, False]


def test_the_shipped_table_is_whole():
    natural = load_natural()
    assert [bin.last + 1 for bin in natural.bins[:-1]] == [bin.first for bin in natural.bins[1:]]
    assert natural.bin_of(39) is None
    assert natural.bin_of(1025) is None
    assert natural.bin_of(64) is natural.bin_of(127)
    for bin in natural.bins:
        assert set(bin.scores) == {metric.key for metric in METRICS}
        for spread in bin.scores.values():
            assert spread.low <= spread.median <= spread.high
    for histogram in natural.histograms.values():
        assert sum(histogram.shares) == pytest.approx(1, abs=1e-3)
    band = natural.size_band
    assert all(low < high for low, high in pairwise(band.median))
    assert all(a < b < c for a, b, c in zip(band.low, band.median, band.high, strict=True))
    assert sum(bin.num_chains for bin in natural.bins) == natural.provenance["chains"]


def test_the_shipped_values_are_those_of_proteins():
    """Against values measured on another set by another program; see docs/evaluation.md."""
    small, middle = load_natural().bins[1:3]
    assert small.scores["bond_mean"].mean == pytest.approx(3.804, abs=0.005)
    assert small.scores["bond_share"].mean > 0.996
    assert small.scores["clashes_36"].mean < 1
    assert small.scores["mirror_dihedral_share"].mean == pytest.approx(0.027, abs=0.007)
    assert middle.scores["contact_order"].mean == pytest.approx(0.18, abs=0.03)
    assert middle.scores["contacts"].mean == pytest.approx(5.7, abs=0.5)
    assert middle.scores["negative_phi_share"].mean == pytest.approx(0.97, abs=0.01)
    for length in (80, 128, 200, 300):
        _, median, _ = load_natural().size_band.at(length) or (0, 0, 0)
        assert median == pytest.approx(3.23 * length**0.317, rel=0.07)


def test_json_keeps_everything():
    natural = load_natural()
    assert NATURAL_JSON.validate_json(NATURAL_JSON.dump_json(natural)) == natural


def test_real_chains_pass_the_gates(shared_data: Path):
    with (shared_data / "structures" / "index.csv").open(newline="") as file:
        chosen = [
            int(row["index"])
            for row in csv.DictReader(file)
            if row["split"] == "val" and 64 <= int(row["length"]) < 256
        ][:40]
    with np.load(shared_data / "structures" / "chains_00.npz") as arrays:
        coords, offsets = arrays["coords"], arrays["offsets"]
    band = load_natural().size_band
    rows = [
        score_chain(
            Chain.from_backbone(coords[offsets[i] : offsets[i + 1]]), name=str(i), band=band
        ).row()
        for i in chosen
    ]
    gated = [metric for metric in METRICS if metric.gate is not None]
    averages = {metric.key: average(metric, rows) for metric in gated}
    for metric in gated:
        value = averages[metric.key]
        assert metric.gate is not None
        assert value is not None
        # Whole chains hold coiled coils and arms, for which the band is not made.
        slack = 0.15 if metric.key == "rg_in_band" else 0.0
        assert metric.gate.passes(value + slack), metric.key
