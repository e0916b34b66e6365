"""A run in a process of its own, which tests kill: `python train_toy.py OUT TASK CONFIG`."""

import json
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import torch

from foldwright.training.config import FitConfig
from foldwright.training.loop import fit
from tests.training.toy_tasks import DropoutTask, PointLoss, Points


class SlowTask(DropoutTask):
    """Leaves a test the time to send a signal."""

    def loss(self, batch: Points, generator: torch.Generator) -> PointLoss:
        time.sleep(0.05)
        return super().loss(batch, generator)


class FatalTask(DropoutTask):
    """Kills the process while it computes the loss of step 13, once."""

    def loss(self, batch: Points, generator: torch.Generator) -> PointLoss:
        if self.module.training:
            self.calls = getattr(self, "calls", 0) + 1
            if self.calls == 13:
                os.kill(os.getpid(), 9)
        return super().loss(batch, generator)


class OddTask(DropoutTask):
    """Five batches per epoch, the last with two samples: two processes cannot share them evenly."""

    def __init__(self) -> None:
        super().__init__(batch=5)


class BrokenOddTask(OddTask):
    """One sample is bad: one process meets it, both must stop."""

    def __init__(self) -> None:
        super().__init__()
        self.points.x[13, 1] = torch.nan


TASKS = {"slow": SlowTask, "fatal": FatalTask, "odd": OddTask, "broken": BrokenOddTask}

if __name__ == "__main__":
    torch.set_num_threads(1)
    out, kind, config = Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])
    result = fit(TASKS[kind](), FitConfig.model_validate(config), out)
    if os.environ.get("RANK", "0") == "0":
        sys.stdout.write(json.dumps({"status": result.status, "step": result.step}))
