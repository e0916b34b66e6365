"""Plans: fast where there is room, small where there is none, and honest where neither fits."""

import sys

import pytest
import torch

from benchmarks.fold_network import chain_inputs, random_network
from foldwright.models.fold import predict, seeded_fold_draws
from foldwright.models.fold.config import FoldConfig
from foldwright.models.fold.network.workspace import row_blocks
from foldwright.models.fold.plan import FoldPlan, peak_bytes, plan_memory
from foldwright.runtime.errors import FoldwrightError
from tests.models.fold.test_determinism import SETTINGS, SIZES

CONFIG = FoldConfig()


def test_the_more_memory_the_more_is_held() -> None:
    inputs = chain_inputs(300)
    wanted = [
        FoldPlan(keep_logits=True, samples_together=5, factors_at_once=2),
        FoldPlan(keep_logits=False, samples_together=5, factors_at_once=2),
        FoldPlan(keep_logits=False, samples_together=1, factors_at_once=1),
    ]
    peaks = [peak_bytes(CONFIG, inputs, plan) for plan in wanted]
    assert peaks[0] > peaks[1] > peaks[2]
    found = [plan_memory(CONFIG, inputs, num_samples=5, free_bytes=peak) for peak in peaks]
    assert found == wanted


def test_every_plan_fits_what_it_was_given() -> None:
    inputs = chain_inputs(120)
    smallest = FoldPlan(keep_logits=False, samples_together=1, factors_at_once=1)
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
    plan = FoldPlan(keep_logits=True, samples_together=1, factors_at_once=2)
    small, large = (peak_bytes(CONFIG, chain_inputs(n), plan) for n in (256, 512))
    assert 2 < large / small < 4
    assert large > 4 * 512**2 * (128 + 128 + 384)
    assert torch.tensor(large).isfinite()


@pytest.mark.parametrize(("device", "most"), [("cpu", 2048), ("meta", 1 << 17)])
def test_blocks_cover_all_rows_once_and_fit_the_device(device: str, most: int) -> None:
    for rows in (1, 9, 45, 500):
        blocks = list(row_blocks(torch.empty(rows, 300, 1, device=device)))
        assert [row for part in blocks for row in range(part.start, part.stop)] == list(range(rows))
        assert all(300 * (part.stop - part.start) <= most for part in blocks)
    wide = list(row_blocks(torch.empty(2, 5000, 1)))
    assert wide == [slice(0, 1), slice(1, 2)]
