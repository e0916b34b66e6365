"""Small trees that break one rule each."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.house.source_tree import Module, read_modules

Tree = Callable[[Mapping[str, str]], list[Module]]


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """Writes a package `pkg` from path -> source and reads its modules."""

    def write(sources: Mapping[str, str]) -> list[Module]:
        for path, source in {"__init__.py": "", **sources}.items():
            target = tmp_path / "pkg" / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(source)
        return read_modules(tmp_path)

    return write
