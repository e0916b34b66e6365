import math

import pytest

from foldwright.runtime.config import load_config
from foldwright.runtime.errors import InputError
from foldwright.training.config import FitConfig
from foldwright.training.schedule import learning_rate


def config(**schedule: object) -> FitConfig:
    return FitConfig.model_validate(
        {"max_steps": 100, "optimiser": {"learning_rate": 2.0}, "schedule": schedule}
    )


def test_warm_up_rises_linearly_to_the_peak_and_stays() -> None:
    rates = [learning_rate(config(warmup_steps=4), step) for step in (1, 2, 3, 4, 5, 1000)]
    assert rates == [0.5, 1.0, 1.5, 2.0, 2.0, 2.0]


def test_cosine_is_half_way_in_the_middle_and_ends_at_the_floor() -> None:
    wave = config(kind="cosine", warmup_steps=10, hold_steps=10, floor=0.1)
    assert [learning_rate(wave, step) for step in (10, 20)] == [2.0, 2.0]
    assert learning_rate(wave, 60) == pytest.approx(2.0 * (0.1 + 0.9 * 0.5))
    quarter = 0.5 * (1 + math.cos(math.pi / 4))
    assert learning_rate(wave, 40) == pytest.approx(2.0 * (0.1 + 0.9 * quarter))
    assert [learning_rate(wave, step) for step in (100, 500)] == [0.2, 0.2]


def test_linear_decay_reaches_its_own_end() -> None:
    line = config(kind="linear", decay_end=50)
    rates = [learning_rate(line, step) for step in (0, 25, 50, 100)]
    assert rates == [2.0, 1.0, 0.0, 0.0]


def test_a_decay_without_steps_is_refused() -> None:
    words = ["max_steps=10", "schedule.kind=cosine", "schedule.warmup_steps=10"]
    with pytest.raises(InputError, match="leave no step for the cosine decay"):
        load_config(FitConfig, None, words)


def test_impossible_betas_are_refused() -> None:
    with pytest.raises(InputError, match=r"optimiser: betas must lie in \[0, 1\)"):
        load_config(FitConfig, None, ["max_steps=10", "optimiser.betas=[0.9, 1.0]"])
