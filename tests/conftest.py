"""Fixtures that find the shared reference material, and shared tolerances."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from foldwright.runtime import allocator

ROOT = Path(__file__).resolve().parent.parent
torch.set_num_threads(1)
# Tests neither read nor write what `foldwright doctor --tune` measured for the person here.
os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp(prefix="foldwright-tests-")
if not torch.cuda.is_available():
    # Read when triton is first imported, by whatever test that is.
    os.environ.setdefault("TRITON_INTERPRET", "1")


@pytest.fixture(scope="session", autouse=True)
def _malloc_as_it_is() -> Iterator[None]:
    """Commands that run in this process must not change how it holds memory: others measure it.

    For the session, since fixtures of whole files run commands too.
    """
    with pytest.MonkeyPatch.context() as patches:
        patches.setattr(allocator, "_in_c_library", lambda _: None)
        yield


def _locate(environment_variable: str, folder: str) -> Path | None:
    named = os.environ.get(environment_variable)
    path = Path(named) if named else ROOT.parent / "shared" / folder
    return path if path.is_dir() else None


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real structures; tests that need it skip where it is absent."""
    path = _locate("FOLDWRIGHT_TEST_DATA", "data")
    if path is None:
        pytest.skip("no shared data: set FOLDWRIGHT_TEST_DATA to the folder that holds it")
    return path


@pytest.fixture(scope="session")
def shared_golden() -> Path:
    """Folder of reference numbers from the original programs."""
    path = _locate("FOLDWRIGHT_TEST_GOLDEN", "golden")
    if path is None:
        pytest.skip("no golden numbers: set FOLDWRIGHT_TEST_GOLDEN to the folder that holds them")
    return path
