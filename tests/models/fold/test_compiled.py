"""Compilation: the same results, and no second compilation in another process."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.fold_network import random_network
from foldwright.models.fold.compiled import compile_denoiser
from foldwright.runtime.errors import FoldwrightError
from tests.models.fold.test_determinism import SIZES

# Shape checks and compilation exclude one another: this runs without them, in its own process.
_PROGRAM = """
import json, sys
from pathlib import Path
import torch
from torch._dynamo.utils import counters
torch.set_num_threads(1)
from benchmarks.fold_network import random_network
from foldwright.models.fold.compiled import compile_denoiser
from tests.models.fold.test_determinism import SIZES
def draw(n):
    generator = torch.Generator().manual_seed(n)
    shapes = ((2, n, 96), (n, 32), (2, 2, 4, n, n))
    return [torch.randn(shape, generator=generator) for shape in shapes]
with torch.no_grad():
    network = random_network(SIZES)
    token = network.diffusion.transformer
    cases = [draw(18), draw(23)]
    plain = [token(*case) for case in cases]
    compile_denoiser(network, Path(sys.argv[1]))
    found = [token(*case) for case in cases]
errors = [float((a - b).abs().max() / b.abs().max()) for a, b in zip(found, plain)]
misses = counters["inductor"]["fxgraph_cache_miss"]
hits = counters["inductor"]["fxgraph_cache_hit"] + counters["aot_autograd"]["autograd_cache_hit"]
print(json.dumps({"errors": errors, "misses": misses, "hits": hits}))
"""


def _run(cache: Path) -> dict[str, Any]:
    root = Path(__file__).resolve().parents[3]
    path = os.pathsep.join([str(root / "src"), str(root)])
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, str(cache)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="needs a C++ compiler")
def test_the_second_process_does_not_compile_again(tmp_path: Path) -> None:
    first, second = _run(tmp_path), _run(tmp_path)
    assert max(first["errors"]) < 1e-5
    assert first["misses"] > 0
    assert second["misses"] == 0
    assert second["hits"] > 0
    assert second["errors"] == first["errors"]


def test_no_compiler_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(FoldwrightError, match="needs g\\+\\+ or clang"):
        compile_denoiser(random_network(SIZES), tmp_path)
    assert not any(tmp_path.iterdir())
