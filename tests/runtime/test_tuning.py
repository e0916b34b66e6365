"""Measurements of this machine come back to this machine only, and damage is named."""

import json
import logging
from pathlib import Path

import pytest
import torch

from foldwright.runtime import tuning
from foldwright.runtime.tuning import measured_crossover, save_crossover, tuning_path


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuning.sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    tuning._stored.cache_clear()


def test_what_is_saved_is_found_again_by_device() -> None:
    assert measured_crossover("cpu") is None
    save_crossover("cpu", 256)
    save_crossover("mps", 0)
    tuning._stored.cache_clear()
    assert measured_crossover("cpu") == 256
    assert measured_crossover("mps") == 0


def test_another_torch_measures_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    save_crossover("cpu", 256)
    monkeypatch.setattr(torch, "__version__", "99.0")
    assert measured_crossover("cpu") is None


@pytest.mark.parametrize(
    "content",
    [
        "{half a rec",
        b"\xff\xfe\x00",
        "[]",
        json.dumps({"format": 99, "point attention crossover": {}}),
        json.dumps({"format": 1}),
        json.dumps({"format": 1, "point attention crossover": {"torch": "fast"}}),
        json.dumps({"format": 1, "point attention crossover": {"torch": -1}}),
    ],
)
def test_damaged_or_foreign_file_is_named_and_not_used(
    content: str | bytes, caplog: pytest.LogCaptureFixture
) -> None:
    path = tuning_path()
    path.parent.mkdir()
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with caplog.at_level(logging.WARNING, logger="foldwright"):
        assert measured_crossover("cpu") is None
        assert measured_crossover("cpu") is None
    (warning,) = caplog.messages
    assert str(path) in warning
    assert "is not used" in warning
    save_crossover("cpu", 128)
    assert measured_crossover("cpu") == 128


@pytest.mark.parametrize(
    ("platform", "variable", "expected"),
    [
        ("linux", "XDG_CACHE_HOME", "there/foldwright/tuning.json"),
        ("win32", "LOCALAPPDATA", "there/foldwright/tuning.json"),
        ("darwin", "HOME", "there/Library/Caches/foldwright/tuning.json"),
    ],
)
def test_folder_by_the_custom_of_the_platform(
    platform: str, variable: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tuning.sys, "platform", platform)
    monkeypatch.setenv(variable, "there")
    assert tuning_path().as_posix() == expected
