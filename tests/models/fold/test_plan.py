"""Plans: fast where there is room, small where there is none, and honest where neither fits."""

import sys

import pytest
import torch

from benchmarks.fold_network import chain_inputs, random_network
from foldwright.models.fold import predict, seeded_fold_draws
from foldwright.models.fold.config import FoldConfig
from foldwright.models.fold.plan import MemoryPlan, peak_bytes, plan_memory
from foldwright.runtime.errors import FoldwrightError
from tests.models.fold.test_determinism import SETTINGS, SIZES

CONFIG = FoldConfig()


def test_the_more_memory_the_more_is_held() -> None:
    inputs = chain_inputs(300)
    plans = [
        plan_memory(CONFIG, inputs, num_samples=5, free_bytes=int(gigabytes * 1e9))
        for gigabytes in (16, 0.5, 0.4)
    ]
    assert plans[0] == MemoryPlan(keep_logits=True, samples_together=5, factors_at_once=4)
    assert not plans[-1].keep_logits
    peaks = [peak_bytes(CONFIG, inputs, plan) for plan in plans]
    assert peaks == sorted(peaks, reverse=True)
    assert peaks[0] > peaks[-1]


def test_every_plan_fits_what_it_was_given() -> None:
    inputs = chain_inputs(120)
    smallest = MemoryPlan(keep_logits=False, samples_together=1, factors_at_once=1)
    least = peak_bytes(CONFIG, inputs, smallest)
    for free in (least, 2 * least, 4 * least):
        plan = plan_memory(CONFIG, inputs, num_samples=3, free_bytes=free)
        assert peak_bytes(CONFIG, inputs, plan) <= free


def test_too_little_memory_is_said_before_anything_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = chain_inputs(20)
    with pytest.raises(FoldwrightError, match=r"20 tokens need about .* GB .* found 0\.0 GB free"):
        plan_memory(CONFIG, inputs, num_samples=1, free_bytes=1000)
    home = sys.modules[predict.__module__]
    monkeypatch.setattr(home, "available_memory", lambda device: 1000)
    with pytest.raises(FoldwrightError, match="close other programs"):
        predict(
            random_network(SIZES),
            inputs,
            SETTINGS,
            num_samples=1,
            draws=seeded_fold_draws(inputs, 1),
        )


def test_memory_grows_with_the_square_of_the_tokens() -> None:
    plan = MemoryPlan(keep_logits=True, samples_together=1, factors_at_once=4)
    small, large = (peak_bytes(CONFIG, chain_inputs(n), plan) for n in (256, 512))
    assert 2 < large / small < 4
    assert large > 4 * 512**2 * (128 + 128 + 384)
    assert torch.tensor(large).isfinite()
