"""Every benchmark answers --help and runs with small numbers; `make bench` takes those that can."""

import importlib.util
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from unittest.mock import patch

import numpy as np
import pytest
import torch

from foldwright.geometry.reconstruction import backbone_from_ca
from tests.data.sample_chains import helix_ca
from tests.geometry.test_reconstruction_recipe import write_structures

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = sorted((ROOT / "benchmarks").glob("*.py"))
SMALL = {
    "data_store": ["--chains", "3", "--big-megabytes", "1"],
    "sampler_accuracy": ["--draws", "20"],
    "triangles": ["--length", "24", "--rank", "2", "--channels", "4"],
}
"""Scripts that are carried out as they are, with these words."""


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "benchmarks" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(monkeypatch: pytest.MonkeyPatch, name: str, *words: str) -> None:
    monkeypatch.setattr(sys, "argv", [f"{name}.py", *words])
    load(name).main()


@pytest.mark.parametrize("name", [script.stem for script in SCRIPTS])
def test_help(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        run(monkeypatch, name, "--help")
    assert ended.value.code == 0
    assert f"usage: {name}.py" in capsys.readouterr().out


@pytest.mark.parametrize("name", SMALL)
def test_small_numbers(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(monkeypatch, name, *SMALL[name])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) >= 3
    assert not any("nan" in line for line in lines)


def test_reconstruction(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    chain = backbone_from_ca(torch.from_numpy(helix_ca(40)).float())
    write_structures(tmp_path, [(chain, "train"), (chain, "test")])
    run(monkeypatch, "geometry_reconstruction", str(tmp_path), "--repeats", "1")
    assert "1 chains" in capsys.readouterr().out


@pytest.fixture
def small_genie(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, str], tuple[float, ...]]:
    """`measure` of the Genie benchmark with a narrow network and in this process."""
    module = load("genie_network")
    widths = dict.fromkeys(("c_s", "c_p", "c_position", "c_timestep"), 8)
    narrow = widths | {"num_pair_layers": 1, "num_structure_layers": 1}
    validate = module.GenieConfig.model_validate
    monkeypatch.setattr(module, "keep_freed_memory", lambda: None)

    def measure(length: int, case: str) -> tuple[float, ...]:
        with patch.object(module, "GenieConfig") as config:
            config.model_validate = lambda values: validate(values | narrow)
            try:
                return module.measure(length, case, 1, 1)
            finally:
                patch.stopall()

    return measure


def test_every_case_of_the_genie_network(
    small_genie: Callable[[int, str], tuple[float, ...]],
) -> None:
    cases = load("genie_network").CASES
    assert {"forward", "sample", "train"} <= set(cases)
    for case in cases:
        seconds, milliseconds, megabytes = small_genie(20, case)
        assert np.isfinite([seconds, milliseconds, megabytes]).all()
        assert milliseconds > 0


def test_make_bench_leaves_out_what_needs_data_and_nothing_else() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    listed = re.search(r"^DATA_BENCHMARKS := (.*)$", makefile, re.MULTILINE)
    assert listed is not None
    needs_data = re.compile(r'add_argument\("([a-z][^"]*"|[^)]*required=True)')
    found = [script for script in SCRIPTS if needs_data.search(script.read_text(encoding="utf-8"))]
    assert listed[1].split() == [script.relative_to(ROOT).as_posix() for script in found]
