"""`foldwright doctor --tune` measures, keeps and shows."""

import json
from pathlib import Path

import pytest

from foldwright.cli.main import main
from foldwright.nn import point_attention_tuning
from foldwright.runtime import tuning


def test_tuning_is_kept_for_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tuning.sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(point_attention_tuning, "_LENGTHS", (8, 16))
    tuning._stored.cache_clear()
    assert main(["doctor", "--tune", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["kept_in"] == str(tmp_path / "foldwright" / "tuning.json")
    found = {row["device"]: row["linear_memory_from_length"] for row in shown["crossovers"]}
    assert found["cpu"] in (0, 16, 32)
    assert tuning.measured_crossover("cpu") == found["cpu"]
    assert shown["timings"][0]["length"] == 8
