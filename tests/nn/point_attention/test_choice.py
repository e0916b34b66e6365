"""What `auto` stands for, and that it says so once."""

import dataclasses
import logging

import pytest
import torch

from foldwright.nn.point_attention import choice, crossover
from foldwright.nn.point_attention.choice import choose_backend
from foldwright.nn.point_attention.crossover import LengthTiming, crossover_of, time_lengths
from foldwright.nn.point_attention.terms import DenseTerms, PointAttentionTerms
from tests.nn.point_attention.test_back_ends import B, D, H, N, factors, neighbours, terms
from tests.nn.random_blocks import normal


@pytest.fixture(autouse=True)
def nothing_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    measured(monkeypatch, None)


def measured(monkeypatch: pytest.MonkeyPatch, length: int | None) -> None:
    monkeypatch.setattr(choice, "measured_crossover", lambda device: length)
    choice._crossover.cache_clear()


def with_keys(count: int) -> PointAttentionTerms:
    """Terms as far as the choice looks at them."""
    t = terms(None)
    mask = torch.ones(1, count, dtype=torch.bool)
    empty = {name: torch.empty(1, H, count, 0) for name in ("key", "value")}
    points = {name: torch.empty(1, H, count, 0, 3) for name in ("key_points", "value_points")}
    query = {"query": torch.empty(1, H, 1, 0), "query_points": torch.empty(1, H, 1, 0, 3)}
    one = torch.ones(1, 1, dtype=torch.bool)
    return dataclasses.replace(t, mask=mask, query_mask=one, **empty, **points, **query)


def test_the_representation_decides_first() -> None:
    assert choose_backend(terms(neighbours())) == "gather"
    assert choose_backend(terms(DenseTerms(normal(B, H, N, N), normal(B, N, N, D)))) == "dense"
    assert choose_backend(terms(factors(2))) == "dense"


def test_then_the_length() -> None:
    assert choose_backend(with_keys(511)) == "dense"
    assert choose_backend(with_keys(512)) == "tiles"


def test_what_was_measured_replaces_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    measured(monkeypatch, 100)
    assert choose_backend(with_keys(99)) == "dense"
    assert choose_backend(with_keys(100)) == "tiles"
    measured(monkeypatch, 0)
    assert choose_backend(terms(factors(2))) == "tiles"


def test_the_choice_is_logged_once_with_its_reason(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="foldwright"):
        choose_backend(with_keys(600))
        choose_backend(with_keys(20))
        (line,) = caplog.messages
        assert "dense below 512 keys, tiles from there (the default" in line
        measured(monkeypatch, 64)
        choose_backend(with_keys(20))
    assert "dense below 64 keys, tiles from there (measured on this machine" in caplog.messages[1]


def test_a_crossover_of_zero_means_every_length(monkeypatch: pytest.MonkeyPatch) -> None:
    measured(monkeypatch, 0)
    assert choice.describe_choice("cpu")[0] == "tiles at every length"


def test_linear_memory_by_device() -> None:
    found = [choice.linear_backend(device) for device in ("cpu", "cuda", "mps")]
    assert found == ["tiles", "sdpa", "sdpa"]


def timing(length: int, dense: float, linear: float) -> LengthTiming:
    return LengthTiming(length, float(dense), float(linear), "tiles")


def test_crossover_is_where_linear_memory_costs_no_time() -> None:
    assert crossover_of([timing(64, 2, 1), timing(128, 4, 3)]) == 0
    assert crossover_of([timing(64, 1, 2), timing(128, 4, 4)]) == 128
    assert crossover_of([timing(64, 2, 1), timing(128, 1, 2), timing(256, 2, 1)]) == 256
    assert crossover_of([timing(64, 1, 2), timing(128, 4, 5)]) == 256
    # a tenth more is a tie
    assert crossover_of([timing(64, 1, 1.2), timing(128, 10, 10.9), timing(256, 10, 11)]) == 128


def test_both_evaluations_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crossover, "_LENGTHS", (8,))
    monkeypatch.setattr(crossover, "_REPEATS", 1)
    (found,) = time_lengths(torch.device("cpu"))
    assert found.dense_seconds > 0
    assert found.linear_seconds > 0
