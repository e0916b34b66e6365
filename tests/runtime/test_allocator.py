"""Settings of the allocator show in the page faults of large tensors."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

# 48 MiB are 12,288 pages of 4 KiB, or 24 of 2 MiB; the second tensor fits where the first one was.
SCRIPT = """
import resource, sys
from foldwright.runtime import allocator

if sys.argv[1] == "huge":
    allocator.prefer_huge_pages()
import torch
if sys.argv[1] == "keep":
    assert allocator.keep_freed_memory()

def faults(mib):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(mib * 2**18)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

torch.ones(10)
print(faults(48), faults(40))
"""
HUGE_PAGES = Path("/sys/kernel/mm/transparent_hugepage/enabled")

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="counts page faults")


def _run(script: str, *arguments: str) -> str:
    environment = {k: v for k, v in os.environ.items() if k != "THP_MEM_ALLOC_ENABLE"}
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        capture_output=True,
        text=True,
        check=True,
        env={**environment, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    return done.stdout


def _faults(mode: str) -> tuple[int, int]:
    first, second = _run(SCRIPT, mode).split()
    return int(first), int(second)


def test_freed_memory_is_used_again() -> None:
    if platform.libc_ver()[0] != "glibc":
        pytest.skip("the C library is not glibc")
    assert _faults("keep")[1] < 100


def test_freed_memory_that_is_held_is_counted() -> None:
    """48 MiB are freed and held, and 40 of them taken again."""
    if platform.libc_ver()[0] != "glibc":
        pytest.skip("the C library is not glibc")
    script = """
import torch
from foldwright.runtime import allocator
assert allocator.keep_freed_memory()
before = allocator.held_bytes()
torch.ones(48 * 2**18)
freed = allocator.held_bytes()
again = torch.ones(40 * 2**18)
print(freed - before, freed - allocator.held_bytes())
"""
    freed, taken = (int(word) / 2**20 for word in _run(script).split())
    assert 47 < freed < 50
    assert 39 < taken < 41


def test_huge_pages() -> None:
    if not HUGE_PAGES.is_file() or "[madvise]" not in HUGE_PAGES.read_text():
        pytest.skip("huge pages are not given to those who ask: there are none, or all have them")
    assert _faults("huge")[0] < 0.5 * _faults("default")[0]
