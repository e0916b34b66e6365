"""Lint, format and types are part of the tests; every module imports with the minimum install."""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import foldwright
from tests.house.source_tree import read_modules

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())
MODULE_OF = {"pytest-xdist": "xdist"}

IMPORT_ALL = """
import importlib, json, sys
from importlib.abc import MetaPathFinder

names, absent = json.loads(sys.argv[1])

class Absent(MetaPathFinder):
    def find_spec(self, fullname, path=None, target=None):
        if fullname.split(".")[0] in absent:
            raise ModuleNotFoundError(f"No module named {fullname!r}", name=fullname)

sys.meta_path.insert(0, Absent())
for name in names:
    importlib.import_module(name)
torch = sys.modules["torch"]
assert not torch.cuda.is_initialized(), "importing the package started CUDA"
"""


def run_tool(*words: str) -> None:
    done = subprocess.run(
        [sys.executable, *words],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{' '.join(words)[:60]}\n{done.stdout}{done.stderr}"


def test_ruff_check():
    run_tool("-m", "ruff", "check", "--no-cache", ".")


def test_ruff_format():
    run_tool("-m", "ruff", "format", "--no-cache", "--check", ".")


def test_mypy():
    run_tool("-m", "mypy")


# Its functions are triton's from their definition on; its one user imports it when it is asked for.
WRITTEN_IN_TRITON = ("foldwright.nn.point_attention.kernels",)


def test_every_module_imports_without_the_optional_packages():
    extras = SETTINGS["project"]["optional-dependencies"].values()
    packages = [re.split(r"[\[<>=~! ]", line)[0] for extra in extras for line in extra]
    absent = [MODULE_OF.get(name, name) for name in packages]
    assert {"tensorboard", "tmtools", "xdist"} <= set(absent)
    names = [m.name for m in read_modules(ROOT / "src") if m.name not in WRITTEN_IN_TRITON]
    run_tool("-c", IMPORT_ALL, json.dumps([names, absent]))


def test_version_is_the_same_everywhere():
    assert SETTINGS["project"]["version"] == foldwright.__version__


def test_torch_is_pinned_to_one_version_in_the_makefile_and_the_constraints():
    pins = [
        re.findall(r"torch==(\S+)", (ROOT / name).read_text())
        for name in ("Makefile", "constraints.txt")
    ]
    assert pins[0] == pins[1]
    assert len(pins[0]) == 1
