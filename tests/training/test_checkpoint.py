import json
from pathlib import Path

import pytest
import torch

from foldwright.runtime.errors import FoldwrightError, InputError
from foldwright.training.archive import CheckpointArchive
from foldwright.training.checkpoint import (
    Checkpoint,
    DamagedCheckpointError,
    read_checkpoint,
    write_checkpoint,
)


def make_checkpoint(step: int, best: dict[str, float] | None = None) -> Checkpoint:
    weight = torch.full((3, 2), float(step))
    shared = {"weight": weight, "tied": weight, "half": torch.ones(2, dtype=torch.bfloat16)}
    state = {"step": step, "best": best, "tenth": 0.1}
    return Checkpoint({"model": shared, "ema": {"weight": weight / 3}}, state)


def save(archive: CheckpointArchive, *steps: int, keep_last: int = 9, **best: float) -> None:
    for step in steps:
        archive.save(make_checkpoint(step, best or None), keep_last=keep_last)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    written = make_checkpoint(7)
    write_checkpoint(tmp_path / "c", written)
    found = read_checkpoint(tmp_path / "c")
    assert found.state == written.state
    assert found.tensors.keys() == {"model", "ema"}
    for part, tensors in written.tensors.items():
        for name, tensor in tensors.items():
            assert found.tensors[part][name].dtype == tensor.dtype
            assert torch.equal(found.tensors[part][name], tensor)


def test_a_failed_save_leaves_nothing(tmp_path: Path) -> None:
    broken = Checkpoint({"model": {"w": torch.ones(2)}}, {"step": 1, "loss": float("nan")})
    with pytest.raises(ValueError, match="JSON"):
        write_checkpoint(tmp_path / "c", broken)
    assert list(tmp_path.iterdir()) == []


def flip_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda p: flip_a_bit(p / "model.safetensors"), r"model.safetensors: SHA-256 \w+"),
        (lambda p: (p / "ema.safetensors").write_bytes(b""), "ema.safetensors: has 0 bytes"),
        (lambda p: (p / "state.json").unlink(), "state.json: is missing"),
        (lambda p: (p / "manifest.json").write_text("{"), "manifest.json: is missing or unread"),
    ],
)
def test_damage_is_named(tmp_path: Path, damage, message: str) -> None:
    write_checkpoint(tmp_path / "c", make_checkpoint(1))
    damage(tmp_path / "c")
    with pytest.raises(DamagedCheckpointError, match=message):
        read_checkpoint(tmp_path / "c")


def test_a_later_format_is_refused(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "c", make_checkpoint(1))
    (tmp_path / "c/manifest.json").write_text(json.dumps({"format": 2, "files": {}}))
    with pytest.raises(InputError, match="format 2; this version reads format 1"):
        read_checkpoint(tmp_path / "c")


def test_damage_of_the_latest_names_the_newest_whole_one(tmp_path: Path) -> None:
    archive = CheckpointArchive(tmp_path)
    save(archive, 1, 2, 3)
    flip_a_bit(archive.path(2) / "model.safetensors")
    flip_a_bit(archive.path(3) / "model.safetensors")
    latest = archive.latest()
    assert latest == archive.path(3)
    with pytest.raises(FoldwrightError, match=r"resume from .*step_00000001$"):
        archive.read(latest)


def test_newest_and_best_are_kept(tmp_path: Path) -> None:
    archive = CheckpointArchive(tmp_path)
    save(archive, 1, 2)
    save(archive, 3, 4, 5, 6, keep_last=2, step=2, loss=0.5)
    assert archive.steps() == [2, 5, 6]
    assert archive.latest() == archive.path(6)
    assert archive.best() == archive.path(2)


def test_a_save_that_was_killed_before_it_was_pointed_to_is_not_the_latest(tmp_path: Path) -> None:
    archive = CheckpointArchive(tmp_path)
    save(archive, 1)
    write_checkpoint(archive.path(2), make_checkpoint(2))
    (archive.folder / ".partial-00-step_00000003").mkdir()
    assert archive.latest() == archive.path(1)
    archive.rewind(archive.read(archive.path(1)).state)
    assert archive.steps() == [1]
    assert sorted(path.name for path in archive.folder.iterdir()) == [
        "latest.json",
        "step_00000001",
        "superseded",
    ]
    save(archive, 2)
    assert archive.latest() == archive.path(2)


def test_going_back_sets_later_ones_aside_and_forgets_a_later_best(tmp_path: Path) -> None:
    archive = CheckpointArchive(tmp_path)
    save(archive, 1)
    save(archive, 2, step=2, loss=0.5)
    archive.rewind(archive.read(archive.path(1)).state)
    assert (archive.latest(), archive.best()) == (archive.path(1), None)
    assert read_checkpoint(archive.folder / "superseded/step_00000002").state["step"] == 2


def test_a_damaged_pointer_is_an_error_and_a_missing_one_means_a_first_save_was_killed(
    tmp_path: Path,
) -> None:
    archive = CheckpointArchive(tmp_path)
    assert archive.latest() is None
    save(archive, 4)
    (archive.folder / "latest.json").write_text("{}")
    with pytest.raises(InputError, match=r"latest.json: is not readable"):
        archive.latest()
    (archive.folder / "latest.json").unlink()
    assert archive.latest() == archive.path(4)
