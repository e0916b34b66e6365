"""A run in a process of its own, which tests kill: `python train_toy.py OUT CONFIG [slow]`."""

import json
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import torch

from foldwright.training.config import FitConfig
from foldwright.training.loop import fit
from tests.training.toy_tasks import DropoutTask, LineTask, PointLoss, Points


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


TASKS = {"slow": SlowTask, "fatal": FatalTask, "plain": DropoutTask, "line": LineTask}

if __name__ == "__main__":
    torch.set_num_threads(1)
    out, kind, config = Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])
    result = fit(TASKS[kind](), FitConfig.model_validate(config), out)
    if os.environ.get("RANK", "0") == "0":
        sys.stdout.write(json.dumps({"status": result.status, "step": result.step}))
