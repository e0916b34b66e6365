"""Scalars for TensorBoard, an optional package."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from foldwright.runtime.errors import FoldwrightError


class TensorBoardLog:
    """Writes named numbers per step into a folder that `tensorboard --logdir` shows.

    Raises:
        FoldwrightError: the package is not installed.
    """

    def __init__(self, folder: Path, *, resume_step: int) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise FoldwrightError(
                "tensorboard: true needs the package tensorboard, which is not installed; run "
                "pip install 'foldwright[tensorboard]' or set tensorboard: false"
            ) from error
        # Steps after the one resumed from come from lost work: TensorBoard hides them.
        purge = resume_step + 1 if resume_step else None
        self._writer: Any = SummaryWriter(str(folder), purge_step=purge)

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Add the values of one step."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        """Flush and close the file."""
        self._writer.close()
