"""How long the peptides of a run are."""

import re
from dataclasses import dataclass

import torch
from torch import Tensor

from foldwright.models.peptide.model_facts import ModelFacts
from foldwright.models.peptide.partial_design import PartialDesign
from foldwright.runtime.errors import Problem
from foldwright.runtime.seeds import make_generator


@dataclass(frozen=True)
class LengthWeights:
    """How often each length is drawn; the place in `weights` is the length."""

    weights: tuple[float, ...]

    def draw(self, seed: int, index: int) -> int:
        """Choose the length of peptide `index` from a seed of its own."""
        generator = make_generator(seed, index, "length")
        weights = torch.tensor(self.weights, dtype=torch.float64)
        return int(torch.multinomial(weights, 1, generator=generator))


def read_lengths(
    text: str | None,
    by_residue: int | None,
    model: ModelFacts,
    labels: tuple[int, ...],
    partial: PartialDesign | None,
    problems: list[Problem],
) -> LengthWeights:
    """Lengths as given, or as trained; even where they end in problems.

    Args:
        text: `20` or `12-30`, or None.
        by_residue: length of what is asked of every residue, if anything is.
        model: the lengths it knows.
        labels: what peptides are asked to be, 1, 0 or -1 by label.
        partial: peptides that the run begins with, which have lengths too.
        problems: what is wrong joins them.
    """
    anything = LengthWeights((0.0, 1.0))
    if partial is not None:
        if text is not None:
            message = f"follows from {partial.option}; leave it out"
            problems.append(Problem("--length", message))
        return anything
    if text is None and by_residue is not None:
        return _even(by_residue, by_residue, model, problems)
    if text is None:
        return LengthWeights(tuple(_trained_counts(model, labels).double().tolist()))
    match = re.fullmatch(r"\s*(\d+)\s*(?:-\s*(\d+)\s*)?", text)
    if match is None:
        problems.append(Problem("--length", f"expected 20 or 12-30: got {text!r}"))
        return anything
    low, high = int(match[1]), int(match[2] or match[1])
    if low > high:
        problems.append(Problem("--length", f"the shorter length comes first: write {high}-{low}"))
        return anything
    return _even(low, high, model, problems)


def _even(low: int, high: int, model: ModelFacts, problems: list[Problem]) -> LengthWeights:
    """Every length from `low` to `high` as often."""
    if low < model.shortest or high > model.max_length:
        message = (
            f"these weights know peptides of {model.shortest} to {model.max_length} residues: got "
            f"{low if low == high else f'{low}-{high}'}"
        )
        problems.append(Problem("--length", message))
    return LengthWeights(tuple(float(low <= n <= high) for n in range(high + 1)))


def _trained_counts(model: ModelFacts, labels: tuple[int, ...]) -> Tensor:
    """Lengths of the training peptides with the rarest of the activities asked for.

    Activities imply one another (an antifungal peptide is antimicrobial), and then the rarest says
    most.
    """
    rows = [model.length_counts[index] for index, wanted in enumerate(labels) if wanted == 1]
    rows = [row for row in rows if int(row.sum()) > 0] or [model.length_counts[-1]]
    return min(rows, key=lambda row: int(row.sum()))


def range_problems(partial: PartialDesign | None, model: ModelFacts) -> list[Problem]:
    """Peptides that a run begins with and that are of lengths the model does not know."""
    low, high = model.shortest, model.max_length
    if partial is None:
        return []
    known = f"these weights know peptides of {low} to {high} residues"
    return [
        Problem(partial.option, f"{known}: {text} has {len(text)}")
        for text in partial.texts
        if not low <= len(text) <= high
    ]
