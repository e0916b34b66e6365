import os
import subprocess
import sys
from pathlib import Path

import pytest

from foldwright.runtime import partials
from foldwright.runtime.partials import abandoned_partials, partial_name, remove_partials


@pytest.fixture(scope="module")
def gone() -> int:
    """Number of a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait(timeout=60)
    return process.pid


def of_process(number: int, name: str) -> str:
    return partial_name(name).replace(f"-{os.getpid()}-", f"-{number}-")


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_name_is_hidden_new_each_time_and_keeps_the_suffix() -> None:
    first, second = partial_name("x.cif.gz"), partial_name("x.cif.gz")
    assert first != second
    assert first.startswith(".partial-")
    assert first.endswith("-x.cif.gz")


def test_only_what_nobody_will_finish_is_removed(
    tmp_path: Path, gone: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(partials.platform, "node", lambda: "another machine")
        elsewhere = of_process(gone, "a")
    alive = [partial_name("a"), elsewhere, ".partial-00-a", ".hidden", "a"]
    dead = [of_process(gone, "a"), of_process(gone, "b-a")]
    for name in alive + dead[:1]:
        (tmp_path / name).touch()
    (tmp_path / dead[1] / "inner").mkdir(parents=True)
    assert {path.name for path in abandoned_partials(tmp_path)} == set(dead)
    remove_partials(tmp_path, "a")
    assert names(tmp_path) == {*alive, dead[1]}
    remove_partials(tmp_path)
    assert names(tmp_path) == set(alive)


def test_folders_that_are_not_there_and_links(tmp_path: Path, gone: int) -> None:
    remove_partials(tmp_path / "absent")
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").touch()
    (tmp_path / of_process(gone, "link")).symlink_to(tmp_path / "kept")
    remove_partials(tmp_path)
    assert names(tmp_path) == {"kept"}
    assert names(tmp_path / "kept") == {"file"}
