"""Compute the natural reference that `foldwright evaluate` compares designs with.

    python recipes/natural_reference/compute.py STRUCTURES [--out natural.json]

STRUCTURES holds `chains_00.npz` and `index.csv`: all chains behind one another as `coords`
(residues, 4, 3) in Å, N CA C O with NaN for missing atoms, with `offsets` and `seq`, and a table
with the columns `rep40`, `name` and `length`. One chain of each cluster at 40 % identity is taken,
whatever its split. Without --out the table of the package is replaced.
"""

import argparse
import csv
import datetime
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

import foldwright.evaluation
from foldwright.evaluation.metrics import METRICS, Metric, average
from foldwright.evaluation.natural import (
    NATURAL_JSON,
    Histogram,
    NaturalBin,
    NaturalReference,
    SizeBand,
    Spread,
)
from foldwright.evaluation.scores import DesignScores, Value, score_chain
from foldwright.evaluation.trace import known, measure_trace
from foldwright.runtime.files import sha256_file, write_atomic
from foldwright.structure.records import Chain

PACKAGE_TABLE = Path(foldwright.evaluation.__path__[0]) / "natural.json"
BINS = ((40, 63), (64, 127), (128, 255), (256, 511), (512, 1024))
# The band is smoothed with a Gaussian in the logarithm of the length; past 800 residues there
# are too few chains for percentiles.
BAND_LENGTHS = (40, 45, 50, 56, 64, 72, 80, 90, 100, 113, 128, 144, 160, 180, 200, 226, 256)
BAND_LENGTHS += (288, 320, 360, 400, 452, 512, 576, 640, 720, 800)
SMOOTHING = 0.12
# Single helices, coiled coils and arms have no size that a designed globule could be held to.
FOLDED_CONTACTS = 1.0
HISTOGRAMS = {
    "bonds": (2.6, 4.4, 90),
    "angles_deg": (60.0, 180.0, 60),
    "dihedrals_deg": (-180.0, 180.0, 72),
}


def read_chains(folder: Path) -> Iterator[tuple[str, Chain]]:
    """Name and chain of every cluster's representative."""
    with np.load(folder / "chains_00.npz", allow_pickle=False) as arrays:
        coords, offsets, letters = arrays["coords"], arrays["offsets"], arrays["seq"]
    with (folder / "index.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row, start, stop in zip(rows, offsets[:-1], offsets[1:], strict=True):
        if row["rep40"] == "1" and stop - start <= BINS[-1][1]:
            sequence = bytes(letters[start:stop]).decode()
            yield row["name"], Chain.from_backbone(coords[start:stop], sequence=sequence)


def weighted_percentiles(
    values: np.ndarray, weights: np.ndarray, percentiles: Sequence[float]
) -> list[float]:
    """Percentiles of weighted values, between the middles of the values' shares."""
    order = np.argsort(values)
    middle = np.cumsum(weights[order]) - weights[order] / 2
    places = np.array(percentiles) / 100 * weights.sum()
    return [float(value) for value in np.interp(places, middle, values[order])]


def fit_size_band(scores: Sequence[DesignScores]) -> SizeBand:
    """Percentiles of the radius of gyration of folded chains near each length, smoothed.

    Folded are chains with one long-range contact per residue or more. The radius is divided by
    length^0.38, its trend, before chains of neighbouring lengths are put together, and multiplied
    again afterwards.
    """
    scores = [score for score in scores if score.fold.long_range_contacts >= FOLDED_CONTACTS]
    lengths = np.array([score.length for score in scores], dtype=float)
    radius = np.array([score.fold.radius_of_gyration for score in scores])
    reduced = radius / lengths**0.38
    rows = []
    for length in BAND_LENGTHS:
        weights = np.exp(-0.5 * (np.log(lengths / length) / SMOOTHING) ** 2)
        percentiles = weighted_percentiles(reduced, weights, (5, 50, 95))
        rows.append([round(value * length**0.38, 3) for value in percentiles])
    low, median, high = zip(*rows, strict=True)
    return SizeBand(BAND_LENGTHS, low, median, high)


def summarise_bin(first: int, last: int, scores: Sequence[DesignScores]) -> NaturalBin:
    """Spread of every metric over the chains of a length bin."""
    rows = [score.row() for score in scores if first <= score.length <= last]
    spreads = {metric.key: spread_of(metric, rows) for metric in METRICS}
    return NaturalBin(first, last, len(rows), spreads)


def spread_of(metric: Metric, rows: Sequence[dict[str, Value]]) -> Spread:
    """Pooled mean and percentiles of single chains, to six digits."""
    values = [float(row[metric.key]) for row in rows if row[metric.key] is not None]
    percentiles = np.percentile(values, (5, 50, 95))
    return Spread(*(float(f"{value:.6g}") for value in (average(metric, rows), *percentiles)))


def count_samples(chain: Chain) -> dict[str, np.ndarray]:
    """Histograms of the distances, angles and dihedrals of one chain."""
    geometry = measure_trace(torch.from_numpy(chain.ca))
    samples = {
        "bonds": known(geometry.bonds),
        "angles_deg": known(geometry.angles).rad2deg(),
        "dihedrals_deg": known(geometry.dihedrals).rad2deg(),
    }
    return {
        key: np.histogram(samples[key].numpy(), num_bins, (start, stop))[0]
        for key, (start, stop, num_bins) in HISTOGRAMS.items()
    }


def as_histogram(key: str, counts: np.ndarray) -> Histogram:
    """Turn counts into shares."""
    start, stop, _ = HISTOGRAMS[key]
    return Histogram(start, stop, tuple(round(float(x), 6) for x in counts / counts.sum()))


def main() -> None:
    """Score all chains and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("structures", type=Path)
    parser.add_argument("--out", type=Path, default=PACKAGE_TABLE)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    scores, counts = [], {key: np.zeros(spec[2]) for key, spec in HISTOGRAMS.items()}
    for name, chain in read_chains(arguments.structures):
        scores.append(score_chain(chain, name=name, band=None))
        for key, more in count_samples(chain).items():
            counts[key] += more
    band = fit_size_band(scores)
    scores = [
        replace(score, rg_in_band=band.holds(score.length, score.fold.radius_of_gyration))
        for score in scores
    ]
    reference = NaturalReference(
        provenance=describe(arguments.structures, len(scores)),
        bins=tuple(summarise_bin(first, last, scores) for first, last in BINS),
        size_band=band,
        histograms={key: as_histogram(key, counts[key]) for key in HISTOGRAMS},
    )
    write_atomic(arguments.out, NATURAL_JSON.dump_json(reference, indent=1) + b"\n")


def describe(folder: Path, num_chains: int) -> dict[str, str | int]:
    """Say what the numbers come from."""
    return {
        "what": "natural protein chains from the Protein Data Bank, without breaks",
        "selection": "one representative per cluster at 40 % identity, all splits",
        "chains": num_chains,
        "secondary_structure": "P-SEA, from C-alpha",
        "size_band": f"chains with {FOLDED_CONTACTS:g} long-range contact per residue or more; "
        f"percentiles of Rg / length^0.38 under a Gaussian of {SMOOTHING} in ln(length)",
        "sha256_of_chains": sha256_file(folder / "chains_00.npz"),
        "command": "python recipes/natural_reference/compute.py STRUCTURES",
        "date": datetime.datetime.now(tz=datetime.UTC).date().isoformat(),
    }


if __name__ == "__main__":
    main()
