"""Which draws of a run become its peptides."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import groupby

from foldwright.models.peptide.peptide_settings import DrawRules
from foldwright.models.peptide.seen_peptides import SeenPeptides

NOT_FINITE = "numbers that are not finite"
REPEATED = "peptides the run holds already"
GIVEN = "the peptide that was given"
SEEN = "peptides the weights were trained on"
AVOIDED = "peptides to avoid"
LONG_RUN = "too long a run of one residue"
LOW_ENTROPY = "too few kinds of residues"


@dataclass(frozen=True)
class Barred:
    """Peptides that are no results, whatever the draws.

    Attributes:
        given: peptides that the run began with.
        avoided: peptides that the user has and does not want again.
        seen: what the weights were trained on; None to let it pass.
    """

    given: Sequence[str] = ()
    avoided: AbstractSet[str] = frozenset()
    seen: SeenPeptides | None = None

    def fault(self, sequence: str) -> str:
        """Why a peptide is barred; empty if it is not."""
        if sequence in self.given:
            return GIVEN
        if sequence in self.avoided:
            return AVOIDED
        if self.seen is not None and self.seen.holds(sequence):
            return SEEN
        return ""


@dataclass(frozen=True)
class Choice:
    """What became of one peptide: a sequence, or none after all attempts.

    Attributes:
        attempts: draws that were looked at, the accepted one included.
        rejected: how many of them were turned down for which reason.
    """

    index: int
    sequence: str | None
    attempts: int
    rejected: Mapping[str, int]


def choose(
    indices: Sequence[int],
    draws: Mapping[tuple[int, int], str | None],
    rules: DrawRules,
    barred: Barred,
    taken: Sequence[str] = (),
) -> tuple[list[Choice], list[tuple[int, int]]]:
    """Go through peptides by number and take the first good draw of each.

    A draw is looked up by (index, attempt). What a peptide becomes depends on the draws and on
    peptides of lower numbers only, so neither batches nor stops nor later peptides change it.
    Where a draw is missing, the peptide is left open and its key is returned; what follows is then
    provisional.

    Args:
        indices: numbers of the peptides, rising.
        draws: what the model made; None where it was not finite.
        rules: what makes a draw bad.
        barred: peptides that are no results.
        taken: sequences of lower numbers, decided before.
    """
    held = set(taken)
    choices: list[Choice] = []
    missing: list[tuple[int, int]] = []
    for index in indices:
        rejected: Counter[str] = Counter()
        for attempt in range(rules.attempts):
            if (index, attempt) not in draws:
                missing.append((index, attempt))
                break
            sequence = draws[index, attempt]
            fault = _fault(sequence, rules, held, barred)
            if not fault:
                assert sequence is not None
                held.add(sequence)
                choices.append(Choice(index, sequence, attempt + 1, dict(rejected)))
                break
            rejected[fault] += 1
        else:
            choices.append(Choice(index, None, rules.attempts, dict(rejected)))
    return choices, missing


def _fault(sequence: str | None, rules: DrawRules, held: set[str], barred: Barred) -> str:
    """Why a draw is no result; empty if it is one."""
    if sequence is None:
        return NOT_FINITE
    fault = barred.fault(sequence)
    if fault:
        return fault
    if rules.unique and sequence in held:
        return REPEATED
    if rules.max_run is not None and longest_run(sequence) > rules.max_run:
        return LONG_RUN
    if rules.min_entropy is not None and residue_entropy(sequence) < rules.min_entropy:
        return LOW_ENTROPY
    return ""


def longest_run(sequence: str) -> int:
    """Length of the longest stretch of one residue."""
    return max((len(list(run)) for _, run in groupby(sequence)), default=0)


def residue_entropy(sequence: str) -> float:
    """Shannon entropy of the residues of one peptide, in bits; at most log2 of its length."""
    counts = Counter(sequence).values()
    return math.log2(len(sequence)) - sum(n * math.log2(n) for n in counts) / len(sequence)
