import pytest

from foldwright.runtime.errors import InputError
from foldwright.training.config import FitConfig
from foldwright.training.resume import deciding_settings, require_same_settings


def settings(num_ranks: int = 1, task: dict | None = None, **changes: object) -> dict:
    config = FitConfig.model_validate({"max_steps": 10, **changes})
    return deciding_settings(config, task or {"data": {"batch": 4}}, num_ranks)


@pytest.mark.parametrize(
    "change",
    [
        {"max_steps": 20},
        {"device": "cuda", "num_workers": 3},
        {"checkpoint": {"keep_last": 1}, "log_every": 7, "validate_every": None},
    ],
)
def test_what_does_not_enter_the_numbers_may_change(change: dict) -> None:
    assert require_same_settings(settings(), settings(**change), ()) == []


def test_all_differences_are_refused_together() -> None:
    other = settings(2, {"data": {"batch": 8}}, optimiser={"learning_rate": 1.0}, precision="bf16")
    with pytest.raises(InputError) as caught:
        require_same_settings(settings(), other, ())
    assert [problem.place for problem in caught.value.problems] == [
        "num_processes",
        "optimiser.learning_rate",
        "precision",
        "task.data.batch",
    ]
    assert "task.data.batch = 4, now it is 8" in str(caught.value)


def test_more_steps_would_bend_a_decay_that_follows_them() -> None:
    curve = {"schedule": {"kind": "cosine"}}
    saved, longer = settings(**curve), settings(max_steps=20, **curve)
    with pytest.raises(InputError, match="decay_end = 10, now it is 20; it follows max_steps"):
        require_same_settings(saved, longer, ())
    fixed = settings(max_steps=20, schedule={"kind": "cosine", "decay_end": 10})
    assert require_same_settings(saved, fixed, ()) == []


def test_a_difference_allowed_by_name_is_noted() -> None:
    changed = settings(optimiser={"learning_rate": 1.0})
    notes = require_same_settings(settings(), changed, ("optimiser.learning_rate",))
    assert notes == [
        "the checkpoint was trained with optimiser.learning_rate = 0.0001, now it is 1.0"
    ]


def test_a_name_that_is_no_setting_is_refused() -> None:
    with pytest.raises(InputError, match=r"did you mean optimiser.learning_rate"):
        require_same_settings(settings(), settings(), ("optimiser.learning_rat",))
