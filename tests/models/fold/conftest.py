"""Reference numbers of the fold network by name."""

import pytest

from tests.models.fold.golden_files import OWN_GOLDENS, FoldGolden, LoadGolden, load_fold_golden


@pytest.fixture
def fold_golden(request: pytest.FixtureRequest) -> LoadGolden:
    """Loads a file from the tests' own copies, or from the shared folder, or skips."""

    def load(name: str) -> FoldGolden:
        own = OWN_GOLDENS / f"{name}.npz"
        if own.is_file():
            return load_fold_golden(own)
        return load_fold_golden(request.getfixturevalue("shared_golden") / "af3" / f"{name}.npz")

    return load
