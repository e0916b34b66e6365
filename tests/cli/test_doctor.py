"""`foldwright doctor --tune` measures, keeps and shows."""

import json
from pathlib import Path

import pytest

from foldwright.cli.main import main
from foldwright.nn.point_attention import crossover
from foldwright.runtime import tuning


def test_tuning_is_kept_for_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tuning.sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(crossover, "_LENGTHS", (8, 16))
    tuning._stored.cache_clear()
    assert main(["doctor", "--tune", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["kept_in"] == str(tmp_path / "foldwright" / "tuning.json")
    found = {row["device"]: row["linear_memory_from_length"] for row in shown["crossovers"]}
    assert found["cpu"] in (0, 16, 32)
    assert tuning.measured_crossover("cpu") == found["cpu"]
    assert shown["timings"][0]["length"] == 8


def test_the_back_end_in_use_is_shown_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tuning.sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    tuning._stored.cache_clear()
    shown = []
    for length in (None, 96):
        if length is not None:
            tuning.save_crossover("cpu", length)
        assert main(["doctor", "--json"]) == 0
        rows = json.loads(capsys.readouterr().out)
        shown.append(next(row for row in rows if row["subject"] == "point attention on cpu"))
    assert shown[0]["found"] == "dense below 512 keys, tiles from there"
    assert "the default" in shown[0]["note"]
    assert shown[1]["found"] == "dense below 96 keys, tiles from there"
    assert "measured on this machine" in shown[1]["note"]
