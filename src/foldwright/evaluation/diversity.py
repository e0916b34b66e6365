"""How much the designs of a set differ from one another."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch
from jaxtyping import Float
from torch import Tensor

from foldwright.geometry.scores import tm_score

SAME_FOLD = 0.5
MOST_PAIRS = 200


@dataclass(frozen=True)
class Diversity:
    """TM-scores between designs of one length, residue i against residue i.

    Nothing is aligned: the values say how far designs repeat one another (mode collapse), and
    are lower bounds of the TM-scores of an alignment.

    Attributes:
        num_pairs: pairs compared, of `pairs_of_one_length` there are.
        mean_tm: mean TM-score, None without pairs; `highest_tm` the greatest.
        same_fold_share: share of the pairs with a TM-score of 0.5 or more.
    """

    num_pairs: int
    pairs_of_one_length: int
    mean_tm: float | None
    highest_tm: float | None
    same_fold_share: float | None


def measure_diversity(traces: Sequence[Float[Tensor, "_ 3"]]) -> Diversity:
    """Compare C-alpha traces of equal length; those with missing residues (NaN) are left out.

    Of more than 200 pairs an evenly spread 200 are taken, the same in every run.
    """
    complete = [trace for trace in traces if not bool(trace.isnan().any())]
    ordered = sorted(complete, key=len)
    total = _pairs_before(ordered)[-1]
    count = min(total, MOST_PAIRS)
    scores = torch.tensor(
        [
            tm_score(ordered[first], ordered[second]).item()
            for first, second in _spread_pairs(ordered, count)
        ]
    )
    return Diversity(
        num_pairs=count,
        pairs_of_one_length=total,
        mean_tm=scores.mean().item() if count else None,
        highest_tm=scores.max().item() if count else None,
        same_fold_share=(scores >= SAME_FOLD).double().mean().item() if count else None,
    )


def _pairs_before(ordered: Sequence[Float[Tensor, "_ 3"]]) -> list[int]:
    """For each trace the pairs that begin with an earlier one; last, the number of all pairs."""
    past_group = {len(trace): index for index, trace in enumerate(ordered, start=1)}
    later = [past_group[len(trace)] - index for index, trace in enumerate(ordered, start=1)]
    return [0, *accumulate(later)]


def _spread_pairs(ordered: Sequence[Float[Tensor, "_ 3"]], count: int) -> Iterator[tuple[int, int]]:
    """Index pairs of equal length, `count` of them at even steps through the list of all."""
    before = _pairs_before(ordered)
    for step in range(count):
        rank = step * before[-1] // count
        first = bisect_right(before, rank) - 1
        yield first, first + 1 + rank - before[first]
