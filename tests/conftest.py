"""Fixtures that find the shared reference material, and shared tolerances."""

import os
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parent.parent
torch.set_num_threads(1)


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
