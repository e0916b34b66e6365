import sys
import types
from pathlib import Path
from typing import ClassVar

import pytest

from foldwright.interop.tensorboard import TensorBoardLog
from foldwright.runtime.errors import FoldwrightError


class Writer:
    """Stands for the writer of the optional package."""

    made: ClassVar[list["Writer"]] = []

    def __init__(self, folder: str, purge_step: int | None) -> None:
        self.folder, self.purge_step = folder, purge_step
        self.scalars: list[tuple[str, float, int]] = []
        self.closed = False
        Writer.made.append(self)

    def add_scalar(self, name: str, value: float, step: int) -> None:
        self.scalars.append((name, value, step))

    def close(self) -> None:
        self.closed = True


def test_without_the_package_the_error_names_the_extra(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(FoldwrightError, match=r"pip install 'foldwright\[tensorboard\]' or set"):
        TensorBoardLog(tmp_path, resume_step=0)


@pytest.mark.parametrize(("resume_step", "purge"), [(0, None), (40, 41)])
def test_values_go_to_the_writer(monkeypatch, tmp_path: Path, resume_step, purge) -> None:
    module = types.ModuleType("torch.utils.tensorboard")
    module.SummaryWriter = Writer
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    log = TensorBoardLog(tmp_path, resume_step=resume_step)
    log.write(41, {"train/loss": 0.5, "train/lr": 0.1})
    log.close()
    writer = Writer.made[-1]
    assert (writer.folder, writer.purge_step, writer.closed) == (str(tmp_path), purge, True)
    assert writer.scalars == [("train/loss", 0.5, 41), ("train/lr", 0.1, 41)]


def test_the_real_package_writes_an_event_file(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    log = TensorBoardLog(tmp_path, resume_step=0)
    log.write(1, {"train/loss": 0.5})
    log.close()
    assert next(path.name for path in tmp_path.iterdir()).startswith("events.out.tfevents")
