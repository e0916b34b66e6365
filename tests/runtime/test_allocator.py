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


def _faults(mode: str) -> tuple[int, int]:
    environment = {k: v for k, v in os.environ.items() if k != "THP_MEM_ALLOC_ENABLE"}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, mode],
        capture_output=True,
        text=True,
        check=True,
        env={**environment, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    first, second = done.stdout.split()
    return int(first), int(second)


def test_freed_memory_is_used_again() -> None:
    if platform.libc_ver()[0] != "glibc":
        pytest.skip("the C library is not glibc")
    assert _faults("keep")[1] < 100


def test_huge_pages() -> None:
    if not HUGE_PAGES.is_file() or "[madvise]" not in HUGE_PAGES.read_text():
        pytest.skip("huge pages are not given to those who ask: there are none, or all have them")
    assert _faults("huge")[0] < 0.5 * _faults("default")[0]
