"""Quality of generated peptides beside real, shuffled and random ones, by the same code.

    python benchmarks/peptide_quality.py --generated new.fasta --table peptides.csv.gz
    python benchmarks/peptide_quality.py --calibrate --table peptides.csv.gz

The table has the splits `train` (what a generator learned from) and `test_iid` (real peptides of
the same distribution that it did not). `--calibrate` scores sets of known quality and prints the
numbers that the goals were taken from beside ours. About 25 s of one core for each set of 2,000.
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from foldwright.data.peptide_table import PeptideTable
from foldwright.evaluation.peptides.brackets import draw_by_composition, shuffle_residues
from foldwright.evaluation.peptides.evaluation import (
    PeptideJudges,
    PeptideReference,
    PeptideSetScores,
    evaluate_peptides,
)
from foldwright.models.peptide.classifier import load_classifier
from foldwright.runtime.errors import InputError
from foldwright.runtime.seeds import make_generator
from foldwright.sequence.fasta import read_fasta
from foldwright.sequence.residues import RESIDUES, first_unknown

SEED = 0
SET_SIZE = 2000


@dataclass(frozen=True)
class Row:
    """One line of the table of goals; `at_least` says which side of the limits is good."""

    name: str
    value: Callable[[PeptideSetScores], float | None]
    must: float | None = None
    goal: float | None = None
    at_least: bool = False


ROWS = (
    Row("discriminator AUC", lambda s: s.distances and s.distances.auc, 0.80, 0.70),
    Row("  length-matched", lambda s: s.distances and s.distances.auc_length_matched, 0.76, 0.70),
    Row("Fréchet feature distance", lambda s: s.distances and s.distances.frechet, 9.0, 4.4),
    Row("dipeptide JSD", lambda s: s.distances and s.distances.dipeptide_divergence, 0.022, 0.015),
    Row("residue JSD", lambda s: s.distances and s.distances.residue_divergence),
    Row("length Wasserstein", lambda s: s.distances and s.distances.length_wasserstein, 1.5, 1.0),
    Row("properties W/SD", lambda s: s.distances and s.distances.property_wasserstein, 0.16, 0.11),
    Row("trigram perplexity", lambda s: s.trigram_perplexity),
    Row("exact copies", lambda s: s.novelty and s.novelty.copies, 0.01, 0.002),
    Row("nearest identity >= 0.8", lambda s: s.novelty and s.novelty.near, 0.50, 0.30),
    Row("mean nearest identity", lambda s: s.novelty and s.novelty.mean_nearest, 0.75, 0.70),
    Row("internal nearest identity", lambda s: s.diversity.mean_nearest, 0.55, 0.50),
    Row("mean pair identity", lambda s: s.diversity.mean_pair, 0.16, 0.15),
    Row("unique", lambda s: s.unique, 0.99, 0.99, at_least=True),
)
ACTIVE = {
    ("antimicrobial", False): (0.72, 0.80),
    ("antimicrobial", True): (0.85, 0.92),
    ("antifungal", False): (0.70, 0.80),
    ("antiviral", False): (0.45, 0.60),
}
"""Goals of the share that is predicted active, by label and whether guidance was used."""

# AUC, length-matched, Fréchet, dipeptide, residue JSD, length W, W/SD, trigrams, copies, near, mean
# nearest, internal, active; from the comparison of published generators (antimicrobial).
EARLIER: dict[str, tuple[float | None, ...]] = {
    "real": (0.52, 0.51, 2.1, 0.012, 0.001, 1.06, 0.080, 15.0, None, 0.71, 0.82, 0.54, 0.85),
    "clusters": (0.79, 0.78, 8.1, 0.023, 0.004, 0.57, 0.175, 17.8, None, 0.00, 0.49, 0.46, 0.61),
    "copies": (0.51, 0.50, 2.8, 0.005, 0.000, 0.32, 0.044, 15.1, 1.0, 1.00, 1.00, 0.52, 0.88),
    "mutated": (0.68, 0.68, 5.1, 0.011, 0.002, 0.32, 0.116, 17.5, None, 1.00, 0.84, 0.42, 0.70),
    "shuffled": (0.73, 0.74, 4.4, 0.017, 0.001, 1.05, 0.115, 17.1, None, 0.02, 0.49, 0.40, 0.75),
    "trigram": (0.89, 0.89, 12.6, 0.012, 0.002, 0.15, 0.180, 15.7, None, 0.00, 0.43, 0.34, 0.46),
    "random": (0.93, 0.93, 17.6, 0.024, 0.000, 0.15, 0.222, 19.0, None, 0.00, 0.43, 0.35, 0.47),
    "uniform": (0.97, 0.96, 48.0, 0.121, 0.055, 0.15, 0.566, 24.9, None, 0.00, 0.39, 0.31, 0.07),
    "negatives": (0.95, 0.91, 45.2, 0.074, 0.034, 13.3, 0.454, 20.4, None, 0.00, 0.36, 0.32, 0.06),
}
EARLIER_ROWS = {
    "discriminator AUC": "AUC",
    "  length-matched": "same len",
    "Fréchet feature distance": "Fréchet",
    "dipeptide JSD": "dipeptide",
    "residue JSD": "residue",
    "length Wasserstein": "length W",
    "properties W/SD": "W/SD",
    "trigram perplexity": "trigram",
    "exact copies": "copies",
    "nearest identity >= 0.8": "near",
    "mean nearest identity": "nearest",
    "internal nearest identity": "internal",
    "predicted active": "active",
}
"""Rows of the calibration, and their headings."""


def select(table: PeptideTable, label: str, value: int, *splits: str) -> list[str]:
    """Sequences of some splits with a label's value."""
    column = table.labels[:, table.label_names.index(label)] == value
    wanted = column & np.isin(np.array(table.split), splits)
    return [table.sequences[row] for row in np.flatnonzero(wanted)]


def pick(sequences: Sequence[str], count: int, name: str) -> list[str]:
    """At most `count` of the sequences, drawn."""
    order = torch.randperm(len(sequences), generator=make_generator(SEED, name))
    return [sequences[place] for place in order[:count].tolist()]


def mutate(sequences: Sequence[str], rate: float) -> list[str]:
    """Exchange residues at random."""
    generator = make_generator(SEED, "mutate")
    changed = []
    for one in sequences:
        hit = torch.rand(len(one), generator=generator) < rate
        new = torch.randint(len(RESIDUES), (len(one),), generator=generator).tolist()
        letters = [RESIDUES[new[i]] if hit[i] else one[i] for i in range(len(one))]
        changed.append("".join(letters))
    return changed


def draw_trigrams(training: Sequence[str], count: int) -> list[str]:
    """Draw peptides from the chances of a residue after two others, with real lengths."""
    start = len(RESIDUES)
    counts = np.full((start + 1, start + 1, start), 0.1)
    for one in training:
        tokens = [start, start, *(RESIDUES.index(letter) for letter in one)]
        np.add.at(counts, (tokens[:-2], tokens[1:-1], tokens[2:]), 1)
    sums = np.cumsum(counts / counts.sum(-1, keepdims=True), axis=-1)
    generator = make_generator(SEED, "trigrams")
    drawn = []
    for one in pick(training, count, "trigram lengths"):
        tokens = [start, start]
        for draw in torch.rand(len(one), generator=generator).tolist():
            found = int(np.searchsorted(sums[tokens[-2], tokens[-1]], draw))
            tokens.append(min(found, start - 1))
        drawn.append("".join(RESIDUES[token] for token in tokens[2:]))
    return drawn


class Bench:
    """The table, a label, and sets of known quality."""

    def __init__(self, table: Path, label: str, classifier: str) -> None:
        self.table, self.label = PeptideTable.read(table), label
        self.training = select(self.table, label, 1, "train")
        self.real = select(self.table, label, 1, "test_iid")
        self.reference = PeptideReference.build(self.real, self.training)
        if self.reference.real is None:
            raise InputError(f"{len(self.real)} peptides with {label} in test_iid are too few")
        self.first_half = list(self.reference.real.halves()[0].sequences)
        self.judges = _judges(classifier)

    def score(self, sequences: Sequence[str]) -> PeptideSetScores:
        """Score a set against both halves of the real peptides."""
        return evaluate_peptides(sequences, self.reference, self.judges)

    def score_real(self) -> PeptideSetScores:
        """Score half of the real peptides against the other half."""
        return evaluate_peptides(self.first_half, self.reference, self.judges, is_half=True)

    def shuffled(self) -> list[str]:
        """Shuffled real peptides."""
        return shuffle_residues(self.real, make_generator(SEED, "shuffled"))

    def random(self) -> list[str]:
        """Random peptides of the composition and lengths of the training peptides."""
        return draw_by_composition(self.training, SET_SIZE, make_generator(SEED, "random"))

    def known_set(self, name: str) -> list[str]:
        """Draw one of the sets of the calibration."""
        if name == "clusters":
            return pick(select(self.table, self.label, 1, "test", "val"), SET_SIZE, name)
        if name == "negatives":
            return pick(select(self.table, self.label, 0, "test_iid", "test"), SET_SIZE, name)
        if name == "mutated":
            return mutate(pick(self.training, SET_SIZE, name), 0.2)
        if name == "trigram":
            return draw_trigrams(self.training, SET_SIZE)
        if name == "uniform":
            generator = make_generator(SEED, name)
            lengths = [len(one) for one in pick(self.training, SET_SIZE, "uniform lengths")]
            draws = [torch.randint(20, (n,), generator=generator).tolist() for n in lengths]
            return ["".join(RESIDUES[token] for token in draw) for draw in draws]
        if name == "copies":
            return pick(self.training, SET_SIZE, name)
        return self.shuffled() if name == "shuffled" else self.random()


def _judges(classifier: str) -> PeptideJudges:
    if classifier == "none":
        return PeptideJudges()
    model = load_classifier(classifier)
    thresholds = {q.label: q.threshold for q in model.quality if q.threshold is not None}
    return PeptideJudges(activity=model.predict, thresholds=thresholds)


def rows_for(label: str, guided: bool) -> tuple[Row, ...]:
    """All rows, with the activity of the label last; other goals are those of antimicrobial."""
    must, goal = ACTIVE.get((label, guided), (None, None))
    active = Row("predicted active", lambda s: _active(s, label), must, goal, at_least=True)
    return (*ROWS, active)


def _active(scores: PeptideSetScores, label: str) -> float | None:
    found = scores.activity.get(label)
    return None if found is None else found.active


def print_goals(bench: Bench, path: Path, *, guided: bool, brackets: bool) -> None:
    """Print the table of goals for a FASTA file."""
    records = read_fasta(path)
    valid = [r.sequence for r in records if first_unknown(r.sequence) is None]
    sets = {"ours": bench.score(valid)}
    if brackets:
        sets["real"] = bench.score_real()
        sets["shuffled"] = bench.score(bench.shuffled())
        sets["random"] = bench.score(bench.random())
    print(f"{path}: {len(records)} peptides, {bench.label}, against {len(bench.real)} real ones")
    heads = "".join(f"{name:>10}" for name in sets)
    print(f"{'':28}{'must':>9}{'goal':>9}{heads}  result")
    share = len(valid) / len(records)
    print(f"{'valid':28}{'1':>9}{'1':>9}{share:10.3f}")
    for row in rows_for(bench.label, guided):
        values = {name: row.value(scores) for name, scores in sets.items()}
        cells = "".join(f"{_text(value):>10}" for value in values.values())
        limits = f"{_text(row.must):>9}{_text(row.goal):>9}"
        print(f"{row.name:28}{limits}{cells}  {_verdict(row, values['ours'])}")
    for label, found in sets["ours"].activity.items():
        print(f"  {label}: active {_text(found.active)}, mean {found.mean_probability:.3f}")


def print_calibration(bench: Bench) -> None:
    """Print sets of known quality, and below each the numbers that the goals come from."""
    rows = {row.name: row for row in rows_for(bench.label, False)}
    print(f"{'':11}" + "".join(f"{title:>11}" for title in EARLIER_ROWS.values()))
    for name in EARLIER:
        scores = bench.score_real() if name == "real" else bench.score(bench.known_set(name))
        ours = [rows[title].value(scores) for title in EARLIER_ROWS]
        print(f"{name:11}" + "".join(f"{_text(value):>11}" for value in ours), flush=True)
        if bench.label == "antimicrobial":
            print(f"{'  earlier':11}" + "".join(f"{_text(value):>11}" for value in EARLIER[name]))


def _text(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}" if abs(value) < 1 else f"{value:.2f}"


def _verdict(row: Row, value: float | None) -> str:
    if value is None or row.must is None or row.goal is None:
        return ""
    passes = (value >= limit if row.at_least else value <= limit for limit in (row.goal, row.must))
    return next((word for word, ok in zip(("goal", "must"), passes, strict=True) if ok), "MISS")


def main() -> None:
    """Read the command line and print one of the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", type=Path, required=True, help="peptides with labels and splits")
    parser.add_argument("--generated", type=Path, help="FASTA file to score")
    parser.add_argument("--label", default="antimicrobial", help="what was asked for")
    parser.add_argument("--guided", action="store_true", help="apply the goals of guidance")
    parser.add_argument("--classifier", default="bundled", help="file, bundled or none")
    parser.add_argument("--calibrate", action="store_true", help="score sets of known quality")
    parser.add_argument("--no-brackets", action="store_true", help="score the file alone: faster")
    arguments = parser.parse_args()
    if arguments.table is None:  # as `make bench` calls it
        print("needs real peptides: give --table TABLE with --generated FILE or --calibrate")
        return
    torch.set_num_threads(1)
    bench = Bench(arguments.table, arguments.label, arguments.classifier)
    if arguments.calibrate:
        print_calibration(bench)
    elif arguments.generated is None:
        parser.error("give --generated FILE or --calibrate")
    else:
        brackets = not arguments.no_brackets
        print_goals(bench, arguments.generated, guided=arguments.guided, brackets=brackets)


if __name__ == "__main__":
    main()
