"""The checkpoints of a run: which is the latest, which is the best, which are kept."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from foldwright.runtime.errors import FoldwrightError, InputError, Problem
from foldwright.runtime.files import write_atomic
from foldwright.training.checkpoint import (
    Checkpoint,
    DamagedCheckpointError,
    read_checkpoint,
    verify_checkpoint,
    write_checkpoint,
)

_PREFIX = "step_"
_LATEST = "latest.json"
_BEST = "best.json"


class CheckpointArchive:
    """The folder `checkpoints` of a run: `step_00001000`, ..., `latest.json` and `best.json`."""

    def __init__(self, out_dir: Path) -> None:
        self.folder = out_dir / "checkpoints"

    def path(self, step: int) -> Path:
        """Folder of the checkpoint of a step."""
        return self.folder / f"{_PREFIX}{step:08d}"

    def steps(self) -> list[int]:
        """Steps that have a checkpoint, in order."""
        found = self.folder.glob(f"{_PREFIX}*")
        return sorted(int(path.name.removeprefix(_PREFIX)) for path in found if path.is_dir())

    def save(self, checkpoint: Checkpoint, *, keep_last: int) -> Path:
        """Write the checkpoint of `state["step"]`, point to it, and drop old ones.

        Kept are the newest `keep_last` and the one of `state["best"]`. A killed save leaves the
        previous checkpoint as the latest.
        """
        step, best = checkpoint.state["step"], checkpoint.state["best"]
        path = self.path(step)
        if path.exists():  # left by a save that was killed before it was pointed to
            shutil.rmtree(path)
        write_checkpoint(path, checkpoint)
        self._point_to(step, best)
        self._prune(keep_last, best["step"] if best else None)
        return path

    def latest(self) -> Path | None:
        """Return the newest checkpoint, or None where the run has none."""
        return self._pointed(_LATEST)

    def best(self) -> Path | None:
        """Return the checkpoint with the lowest validation loss, or None."""
        return self._pointed(_BEST)

    def read(self, path: Path) -> Checkpoint:
        """Read a checkpoint of this run.

        Raises:
            FoldwrightError: it is damaged; the message names the file, and the newest good one.
            InputError: there is no such checkpoint, or a later version wrote it.
        """
        try:
            return read_checkpoint(path)
        except DamagedCheckpointError as error:
            good = self._newest_good(path)
            if good is None:
                advice = "no other checkpoint of this run is whole: start anew in another folder"
            else:
                advice = f"to go on from the newest one that is whole, resume from {good}"
            raise FoldwrightError(f"damaged checkpoint: {error}; {advice}") from error

    def rewind(self, state: Mapping[str, Any]) -> None:
        """Go on from the checkpoint with this state: later ones are moved to `superseded`.

        What killed saves left behind is removed.
        """
        step = state["step"]
        for later in (self.path(found) for found in self.steps() if found > step):
            aside = self.folder / "superseded" / later.name
            if aside.exists():
                shutil.rmtree(aside)
            aside.parent.mkdir(exist_ok=True)
            later.rename(aside)
        self._point_to(step, state["best"])
        for partial in self.folder.glob(".partial-*"):
            shutil.rmtree(partial, ignore_errors=True)

    def _point_to(self, step: int, best: Mapping[str, Any] | None) -> None:
        self._point(_LATEST, {"checkpoint": self.path(step).name, "step": step})
        if best is None:
            (self.folder / _BEST).unlink(missing_ok=True)
        else:
            self._point(_BEST, {"checkpoint": self.path(best["step"]).name, **best})

    def _pointed(self, pointer: str) -> Path | None:
        path = self.folder / pointer
        if not path.exists():
            if pointer == _LATEST and self.steps():
                # Checkpoints are whole or absent: the first save was killed before it pointed.
                return self.path(self.steps()[-1])
            return None
        try:
            return self.folder / str(json.loads(path.read_text(encoding="utf-8"))["checkpoint"])
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(
                Problem(str(path), "is not readable; resume from one of the checkpoints beside it")
            ) from error

    def _point(self, pointer: str, content: dict[str, object]) -> None:
        write_atomic(self.folder / pointer, json.dumps(content, indent=1) + "\n")

    def _prune(self, keep_last: int, best_step: int | None) -> None:
        for step in self.steps()[:-keep_last]:
            if step != best_step:
                shutil.rmtree(self.path(step))

    def _newest_good(self, damaged: Path) -> Path | None:
        for step in reversed(self.steps()):
            path = self.path(step)
            if path == damaged:
                continue
            try:
                verify_checkpoint(path)
            except FoldwrightError:
                continue
            return path
        return None
