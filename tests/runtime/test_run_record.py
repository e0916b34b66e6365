"""The record of a run: begun, gone on with, refused."""

import json
from pathlib import Path

import pytest
import torch

from foldwright.runtime.errors import InputError
from foldwright.runtime.run_record import begin_run, finite_scores, read_record, weights_digest

KIND = "test-run-1"


def test_equal_settings_go_on_and_leave_the_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    begin_run(path, KIND, {"seed": 1, "lengths": (8, 12)})
    before = path.read_bytes()
    assert json.loads(before) == {"format": KIND, "settings": {"seed": 1, "lengths": [8, 12]}}
    begin_run(path, KIND, {"seed": 1, "lengths": (8, 12)})
    assert path.read_bytes() == before


def test_every_other_setting_is_named(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    begin_run(path, KIND, {"seed": 1, "steps": 5, "old": True})
    with pytest.raises(InputError) as error:
        begin_run(path, KIND, {"seed": 2, "steps": 5, "new": 3})
    lines = str(error.value).splitlines()
    assert len(lines) == 3
    assert "started with seed 1, now it is 2" in lines[0]
    assert "old True, now it is None" in lines[1]
    assert "new None, now it is 3" in lines[2]


def test_other_kinds_and_damaged_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    begin_run(path, KIND, {})
    with pytest.raises(InputError, match="is of format 'test-run-1', expected 'other-1'"):
        begin_run(path, "other-1", {})
    path.write_text('{"format"')
    with pytest.raises(InputError, match="is damaged"):
        begin_run(path, KIND, {})
    path.write_text("[1]")
    with pytest.raises(InputError, match="is damaged"):
        read_record(path)
    assert read_record(tmp_path / "none.json") is None


def test_a_digest_sees_names_shapes_types_and_values() -> None:
    weights = {"a": torch.arange(4.0), "b": torch.zeros(2)}
    digests = {
        weights_digest(state)
        for state in (
            weights,
            {"b": weights["b"], "a": weights["a"]},
            {"c": weights["a"], "b": weights["b"]},
            {**weights, "a": torch.arange(4.0).reshape(2, 2)},
            {**weights, "a": torch.arange(4.0).double()},
            {**weights, "b": torch.tensor([0.0, -0.0])},
        )
    }
    assert len(digests) == 5
    assert weights_digest(weights) == weights_digest(dict(reversed(weights.items())))


def test_scores_that_are_no_numbers_are_missing() -> None:
    scores = {"bond": 3.8, "count": 2, "name": "x", "none": float("nan"), "far": float("inf")}
    found = finite_scores(scores)
    assert found == scores | {"none": None, "far": None}
    json.dumps(found, allow_nan=False)
