import errno
import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from foldwright.runtime.errors import FoldwrightError, InputError
from foldwright.runtime.files import atomic_path, sha256_file, write_atomic


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def write_then_raise(target: Path, data: bytes, raised: BaseException) -> None:
    with atomic_path(target) as temporary:
        temporary.write_bytes(data)
        raise raised


def write_to_a_full_device(target: Path) -> None:
    with atomic_path(target), open("/dev/full", "wb", buffering=0) as full:
        full.write(b"1")


def test_text_and_bytes_arrive_whole_in_folders_that_did_not_exist(tmp_path):
    target = tmp_path / "a" / "b" / "c.txt"
    write_atomic(target, "Å\n")
    assert target.read_bytes() == b"\xc3\x85\n"
    write_atomic(target, b"\x00\x01")
    assert target.read_bytes() == b"\x00\x01"
    assert names(target.parent) == ["c.txt"]


def test_temporary_path_is_a_neighbour_with_the_same_suffix(tmp_path):
    with atomic_path(tmp_path / "x.cif.gz") as temporary:
        assert temporary.parent == tmp_path
        assert temporary.name.endswith("x.cif.gz")
        assert not (tmp_path / "x.cif.gz").exists()
        temporary.write_text("1")
    assert names(tmp_path) == ["x.cif.gz"]


@pytest.mark.parametrize("raised", [ValueError("bad"), KeyboardInterrupt(), OSError("odd")])
def test_failure_in_the_body_keeps_the_old_file_and_nothing_else(tmp_path, raised):
    target = tmp_path / "x"
    target.write_text("old")
    with pytest.raises(type(raised)):
        write_then_raise(target, b"half", raised)
    assert target.read_text() == "old"
    assert names(tmp_path) == ["x"]


def test_full_disk_while_writing(tmp_path):
    target = tmp_path / "store.npy"
    target.write_text("old")
    with pytest.raises(FoldwrightError, match=r"store\.npy: the disk is full: [\d.]+ MB free"):
        write_then_raise(target, b"half", OSError(errno.ENOSPC, "No space left on device"))
    assert target.read_text() == "old"
    assert names(tmp_path) == ["store.npy"]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_full_disk_that_shows_only_at_the_flush(tmp_path, monkeypatch, code):
    def fsync(descriptor: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(FoldwrightError, match="after 5\\.0 MB of this file"):
        write_atomic(tmp_path / "x", b"1" * 5_000_000)
    assert names(tmp_path) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_device_that_is_really_full(tmp_path):
    with pytest.raises(FoldwrightError, match="the disk is full"):
        write_to_a_full_device(tmp_path / "x")
    assert names(tmp_path) == []


def test_file_and_folder_are_flushed_before_and_after_the_rename(tmp_path, monkeypatch):
    events = []
    real_fsync, real_replace = os.fsync, Path.replace

    def fsync(descriptor: int) -> None:
        real_fsync(descriptor)
        events.append("folder" if os.path.isdir(f"/proc/self/fd/{descriptor}") else "file")

    def replace(self: Path, target: Path) -> Path:
        events.append("rename")
        return real_replace(self, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", replace)
    write_atomic(tmp_path / "x", "1")
    if Path("/proc/self/fd").exists():
        assert events == ["file", "rename", "folder"]


def test_body_that_writes_nothing_is_an_error(tmp_path):
    with pytest.raises(FoldwrightError, match="nothing was written"), atomic_path(tmp_path / "x"):
        pass
    assert names(tmp_path) == []


def test_places_that_cannot_be_written_say_why(tmp_path):
    (tmp_path / "file").write_text("1")
    with pytest.raises(InputError, match=r"inner: cannot be written: .*choose another place"):
        write_atomic(tmp_path / "file" / "inner", "1")
    with pytest.raises(InputError, match="is a folder"):
        write_atomic(tmp_path, "1")


def test_kill_in_the_middle_leaves_the_old_file(tmp_path):
    target = tmp_path / "x"
    target.write_text("old")
    body = (
        "import sys, time; from foldwright.runtime.files import atomic_path\n"
        "with atomic_path(sys.argv[1]) as temporary:\n"
        "    temporary.write_text('half'); print('half', flush=True); time.sleep(60)"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", body, str(target)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "half\n"
    child.send_signal(signal.SIGKILL)
    child.wait(timeout=10)
    assert target.read_text() == "old"
    stray = [name for name in names(tmp_path) if name != "x"]
    assert len(stray) == 1
    assert stray[0].startswith(".partial-")


def test_readers_never_see_half_a_file(tmp_path):
    target = tmp_path / "x"
    write_atomic(target, "0" * 100_000)
    until = time.monotonic() + 0.3
    child = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys, itertools; from foldwright.runtime.files import write_atomic\n"
            "for i in itertools.count(1): write_atomic(sys.argv[1], str(i % 10) * 100_000)",
            str(target),
        ],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    try:
        seen = set()
        while len(seen) < 3 and time.monotonic() < until + 20:
            text = target.read_text()
            assert len(text) == 100_000
            assert set(text) == {text[0]}
            seen.add(text[0])
    finally:
        child.kill()
        child.wait(timeout=10)
    assert len(seen) == 3


def test_checksum_is_that_of_the_standard_library(tmp_path):
    data = bytes(range(256)) * 9000  # more than one block
    (tmp_path / "x").write_bytes(data)
    assert sha256_file(tmp_path / "x") == hashlib.sha256(data).hexdigest()
    (tmp_path / "empty").touch()
    assert sha256_file(tmp_path / "empty").startswith("e3b0c44298fc1c14")
