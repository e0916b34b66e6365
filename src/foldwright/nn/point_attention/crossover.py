"""From which length on linear memory pays, measured on this machine."""

import time
from dataclasses import dataclass

import torch

from foldwright.nn.point_attention.back_ends import attend
from foldwright.nn.point_attention.choice import PointBackend, linear_backend
from foldwright.nn.point_attention.terms import Attended, FactorTerms, PointAttentionTerms

_LENGTHS = (64, 128, 256, 512, 1024)
_REPEATS = 3
# Linear memory may cost this much more time: a tie, or the noise of a measurement, is no reason to
# build tables of all pairs.
_TIME_ALLOWED = 1.1
_HEADS, _CHANNELS, _POINTS, _VALUE_POINTS, _RANK, _PAIR_CHANNELS = 12, 16, 4, 8, 2, 32


@dataclass(frozen=True)
class LengthTiming:
    """Seconds of one attention forward and backward; CPU seconds on a CPU."""

    length: int
    dense_seconds: float
    linear_seconds: float
    linear_backend: str


def time_lengths(device: torch.device) -> list[LengthTiming]:
    """Time both evaluations at growing length.

    Twelve heads of 16 channels, 4 and 8 points, factorised pairs of rank 2 with 32 channels,
    random numbers, the best of three runs.
    """
    linear = linear_backend(device.type)
    timings = []
    for length in _LENGTHS:
        terms = _random_terms(length, device)
        seconds = [_best_time(terms, backend) for backend in ("dense", linear)]
        timings.append(LengthTiming(length, seconds[0], seconds[1], linear))
    return timings


def crossover_of(timings: list[LengthTiming]) -> int:
    """Return the first length from which on linear memory takes at most a tenth more time.

    Where that holds at every length measured, it is used at every length; where at none, from
    twice the last.
    """
    slower = [t.length for t in timings if t.linear_seconds > _TIME_ALLOWED * t.dense_seconds]
    if not slower:
        return 0
    return next((t.length for t in timings if t.length > slower[-1]), 2 * timings[-1].length)


def _best_time(terms: PointAttentionTerms, backend: PointBackend) -> float:
    return min(_time_once(terms, backend) for _ in range(_REPEATS))


def _time_once(terms: PointAttentionTerms, backend: PointBackend) -> float:
    on_gpu = terms.query.device.type != "cpu"
    clock = time.perf_counter if on_gpu else time.process_time
    start = clock()
    _sum(attend(terms, backend=backend)).backward()
    if terms.query.device.type == "cuda":
        torch.cuda.synchronize(terms.query.device)
    return clock() - start


def _sum(out: Attended) -> torch.Tensor:
    assert out.pairs is not None
    total: torch.Tensor = out.scalars.sum() + out.points.sum() + out.pairs.sum()
    return total.cpu()


def _random_terms(length: int, device: torch.device) -> PointAttentionTerms:
    generator = torch.Generator().manual_seed(0)

    def leaf(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator).to(device).requires_grad_()

    everyone = torch.ones(1, length, dtype=torch.bool, device=device)
    return PointAttentionTerms(
        query=leaf(1, _HEADS, length, _CHANNELS),
        key=leaf(1, _HEADS, length, _CHANNELS),
        value=leaf(1, _HEADS, length, _CHANNELS),
        query_points=leaf(1, _HEADS, length, _POINTS, 3),
        key_points=leaf(1, _HEADS, length, _POINTS, 3),
        value_points=leaf(1, _HEADS, length, _VALUE_POINTS, 3),
        point_weight=torch.full((_HEADS,), 0.1, device=device),
        mask=everyone,
        query_mask=everyone,
        pair=FactorTerms(
            leaf(1, _HEADS, length, _RANK),
            leaf(1, _HEADS, length, _RANK),
            leaf(1, length, _RANK, _PAIR_CHANNELS),
            leaf(1, length, _RANK, _PAIR_CHANNELS),
        ),
    )
