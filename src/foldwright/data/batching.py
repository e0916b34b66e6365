"""Batches of chains of similar length, as a pure function of the seed and the epoch."""

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Int, Int64

from foldwright.runtime.errors import InputError, Problem
from foldwright.runtime.seeds import derive_seed

Index = Int64[np.ndarray, " _"]


class LengthBucketSampler:
    """Deals items into batches of similar length under a budget.

    The batches of an epoch depend on the seed and the epoch alone, so that every process and every
    resumed run sees the same ones. Every item drawn is in one batch of the epoch. What does not
    fill a batch of its bucket joins the next longer bucket, so at most one batch per epoch is
    small for want of items.

    Args:
        lengths: length of every item, after any crop.
        cluster_index: a cluster for every item. Then an epoch takes one item of each cluster,
            another draw each epoch; without it an epoch takes every item.
        max_tokens: largest `items * longest length` of a batch: memory that grows with length.
        max_pairs: largest `items * longest length ** 2`: memory that grows with its square.
        max_batch: largest number of items.
        bucket_edges: longest length of each bucket, rising; longer items share one more.
        seed: decides draws and order.

    Raises:
        InputError: nothing to deal, an item that is over the budget alone, edges that do not rise.
    """

    def __init__(
        self,
        lengths: Sequence[int] | Int[np.ndarray, " _"],
        *,
        cluster_index: Sequence[int] | Int[np.ndarray, " _"] | None = None,
        max_tokens: int | None = None,
        max_pairs: int | None = None,
        max_batch: int,
        bucket_edges: Sequence[int] = (),
        seed: int = 0,
    ) -> None:
        self._lengths = np.asarray(lengths, dtype=np.int64)
        self._max_tokens, self._max_pairs, self._max_batch = max_tokens, max_pairs, max_batch
        self._seed = seed
        _require(self._problems(bucket_edges, cluster_index))
        self._buckets = np.searchsorted(np.asarray(bucket_edges, dtype=np.int64), self._lengths)
        self._clusters = None if cluster_index is None else _members(np.asarray(cluster_index))

    def batches(self, epoch: int) -> list[Index]:
        """Return the batches of an epoch, each an array of positions in `lengths`."""
        # Uniform doubles of PCG64 are the same in every version of numpy; shuffles are not.
        numbers = np.random.Generator(np.random.PCG64(derive_seed(self._seed, "epoch", epoch)))
        drawn = self._draw(numbers)
        drawn = drawn[_random_order(len(drawn), numbers)]
        batches = list(self._deal(drawn))
        return [batches[position] for position in _random_order(len(batches), numbers)]

    def _draw(self, numbers: np.random.Generator) -> Index:
        if self._clusters is None:
            return np.arange(len(self._lengths))
        draws = numbers.random(len(self._clusters))
        pairs = zip(self._clusters, draws, strict=True)
        return np.array([members[int(draw * len(members))] for members, draw in pairs])

    def _deal(self, drawn: Index) -> Iterator[Index]:
        """Fill batches bucket by bucket, in the order drawn; short leftovers join longer ones."""
        batch: list[int] = []
        longest = 0
        for item in drawn[np.argsort(self._buckets[drawn], kind="stable")]:
            length = int(self._lengths[item])
            if batch and not self._fits(len(batch) + 1, max(longest, length)):
                yield np.array(batch, dtype=np.int64)
                batch, longest = [], 0
            batch.append(int(item))
            longest = max(longest, length)
        if batch:
            yield np.array(batch, dtype=np.int64)

    def _fits(self, count: int, longest: int) -> bool:
        return (
            count <= self._max_batch
            and (self._max_tokens is None or count * longest <= self._max_tokens)
            and (self._max_pairs is None or count * longest**2 <= self._max_pairs)
        )

    def _problems(self, edges: Sequence[int], clusters: object) -> list[Problem]:
        problems = []
        if len(self._lengths) == 0:
            problems.append(Problem("lengths", "there are no items to make batches of"))
        if self._max_batch < 1:
            problems.append(Problem("max_batch", f"is {self._max_batch}; expected 1 or more"))
        if any(second <= first for first, second in itertools.pairwise(edges)):
            problems.append(Problem("bucket_edges", f"must rise: found {list(edges)}"))
        if clusters is not None and len(np.asarray(clusters)) != len(self._lengths):
            message = f"has {len(np.asarray(clusters))} items, lengths has {len(self._lengths)}"
            problems.append(Problem("cluster_index", message))
        if len(self._lengths) and self._max_batch >= 1:
            problems += self._too_long()
        return problems

    def _too_long(self) -> list[Problem]:
        limits = [int(self._max_tokens)] if self._max_tokens is not None else []
        if self._max_pairs is not None:
            limits.append(int(np.sqrt(self._max_pairs)))
        limit, longest = min(limits, default=None), int(self._lengths.max())
        if limit is None or longest <= limit:
            return []
        count = int((self._lengths > limit).sum())
        budgets = f"max_tokens={self._max_tokens}, max_pairs={self._max_pairs}"
        message = f"{budgets} hold one item of {limit}, but {count} are longer, up to {longest}"
        return [Problem("budget", f"{message}; raise the budget, or crop or filter the items")]


def _members(cluster_index: Int[np.ndarray, " _"]) -> list[Index]:
    """Items of each cluster, clusters and items in rising order."""
    order = np.argsort(cluster_index, kind="stable")
    starts = np.flatnonzero(np.diff(cluster_index[order])) + 1
    return np.split(order, starts)


def _random_order(count: int, numbers: np.random.Generator) -> Index:
    return np.argsort(numbers.random(count), kind="stable")


def _require(problems: list[Problem]) -> None:
    if problems:
        raise InputError(problems)
