"""Batches of similar length: budgets, completeness, balance, and the same ones every time."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foldwright.data.batching import LengthBucketSampler
from foldwright.runtime.errors import InputError

EDGES = (64, 128, 192)


def some_lengths(count: int = 300) -> np.ndarray:
    return np.random.default_rng(4).integers(40, 257, count)


def lists(batches: list[np.ndarray]) -> list[list[int]]:
    return [batch.tolist() for batch in batches]


@settings(max_examples=60, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 50), min_size=1, max_size=60),
    max_tokens=st.none() | st.integers(50, 300),
    max_pairs=st.none() | st.integers(2500, 9000),
    max_batch=st.integers(1, 9),
    edges=st.sets(st.integers(1, 60), max_size=4),
    epoch=st.integers(0, 3),
)
def test_every_item_once_and_no_batch_over_budget(
    lengths, max_tokens, max_pairs, max_batch, edges, epoch
) -> None:
    sampler = LengthBucketSampler(
        lengths,
        max_tokens=max_tokens,
        max_pairs=max_pairs,
        max_batch=max_batch,
        bucket_edges=sorted(edges),
    )
    batches = lists(sampler.batches(epoch))
    assert sorted(itertools.chain(*batches)) == list(range(len(lengths)))
    for batch in batches:
        longest = max(lengths[item] for item in batch)
        assert 1 <= len(batch) <= max_batch
        assert max_tokens is None or len(batch) * longest <= max_tokens
        assert max_pairs is None or len(batch) * longest**2 <= max_pairs


def test_batches_depend_on_seed_and_epoch_and_nothing_else() -> None:
    def make(seed: int) -> LengthBucketSampler:
        return LengthBucketSampler(some_lengths(), max_tokens=1024, max_batch=8, seed=seed)

    sampler = make(1)
    later, first = lists(sampler.batches(3)), lists(sampler.batches(0))
    assert lists(make(1).batches(3)) == later
    assert first != later
    assert lists(make(2).batches(3)) != later


def test_the_order_is_the_same_in_every_version() -> None:
    sampler = LengthBucketSampler([5, 9, 4, 8, 6, 7], max_batch=2, bucket_edges=(6,), seed=11)
    assert lists(sampler.batches(2)) == [[0, 4], [1, 3], [2, 5]]


def test_buckets_keep_padding_low() -> None:
    lengths = some_lengths()

    def padding(edges: tuple[int, ...]) -> float:
        sampler = LengthBucketSampler(lengths, max_batch=8, bucket_edges=edges)
        padded = sum(len(b) * lengths[b].max() for b in sampler.batches(0))
        return 1 - lengths.sum() / padded

    assert padding(()) > 0.35
    assert padding(tuple(range(48, 257, 16))) < 0.08


def test_leftovers_join_the_next_bucket() -> None:
    lengths = [50] * 5 + [100] * 5 + [150] * 5
    sampler = LengthBucketSampler(lengths, max_batch=4, bucket_edges=EDGES)
    sizes = sorted(len(batch) for batch in sampler.batches(0))
    assert sizes == [3, 4, 4, 4]


def test_long_and_short_batches_come_in_no_order() -> None:
    lengths = np.sort(some_lengths())
    batches = LengthBucketSampler(lengths, max_batch=8, bucket_edges=EDGES).batches(0)
    means = [lengths[batch].mean() for batch in batches]
    assert abs(np.corrcoef(means, np.arange(len(means)))[0, 1]) < 0.5


def test_an_epoch_takes_one_item_of_each_cluster_and_all_in_time() -> None:
    clusters = np.array([7, 3, 3, 3, 9, 9, 7, 3])
    sampler = LengthBucketSampler([10] * 8, cluster_index=clusters, max_batch=2, seed=5)
    counts = np.zeros(8)
    for epoch in range(400):
        items = np.concatenate(sampler.batches(epoch))
        assert sorted(clusters[items]) == [3, 7, 9]
        counts[items] += 1
    expected = 400 / np.array([2, 4, 4, 4, 2, 2, 2, 4])
    assert np.abs(counts - expected).max() < 4 * np.sqrt(100)


def test_all_problems_are_told_together() -> None:
    with pytest.raises(InputError) as caught:
        LengthBucketSampler(
            [30, 200, 300], cluster_index=[0], max_tokens=150, max_batch=4, bucket_edges=(9, 9)
        )
    text = str(caught.value)
    assert "bucket_edges: must rise: found [9, 9]" in text
    assert "cluster_index: has 1 items, lengths has 3" in text
    assert "hold one item of 150, but 2 are longer, up to 300" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"lengths": [], "max_batch": 2}, "there are no items"),
        ({"lengths": [4], "max_batch": 0}, "max_batch: is 0; expected 1 or more"),
        ({"lengths": [40], "max_batch": 2, "max_pairs": 1599}, "hold one item of 39"),
    ],
)
def test_impossible_requests_are_refused(arguments, message) -> None:
    with pytest.raises(InputError, match=message):
        LengthBucketSampler(**arguments)


def test_an_item_that_fills_the_budget_alone_is_taken() -> None:
    assert lists(LengthBucketSampler([40], max_batch=2, max_pairs=1600).batches(0)) == [[0]]
