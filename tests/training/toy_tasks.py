"""Small tasks with known answers, which the tests of the loop train."""

import dataclasses
import os
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from foldwright.runtime.seeds import make_generator


@dataclass(frozen=True)
class PointLoss:
    """Mean square, and the mean absolute error beside it."""

    total: Tensor
    parts: Mapping[str, Tensor]


@dataclass(frozen=True)
class Points:
    """Inputs, targets and the names of the samples."""

    x: Tensor
    y: Tensor
    names: tuple[str, ...]


class PointBatches(Sequence):
    """Samples in an order that depends on the epoch, dealt into batches of `size`."""

    def __init__(self, points: Points, order: Tensor, size: int) -> None:
        self._points, self._parts = points, order.split(size)

    def __len__(self) -> int:
        return len(self._parts)

    def __getitem__(self, index: int) -> Points:
        return self.select(self._parts[index])

    def select(self, part: Tensor) -> Points:
        names = tuple(self._points.names[i] for i in part.tolist())
        return Points(self._points.x[part], self._points.y[part], names)


class LineTask:
    """Linear regression without noise: least squares gives `weight` and `bias` exactly."""

    fixed_shapes = False
    weight = torch.tensor([[1.5, -2.0, 0.5]])
    bias = 0.25

    def __init__(self, *, batch: int = 4, samples: int = 22, noise: float = 0.0) -> None:
        generator = make_generator(3)
        x = torch.randn(samples, 3, generator=generator)
        y = x @ self.weight.T + self.bias
        self.points = Points(x, y, tuple(f"sample{i}" for i in range(samples)))
        self.batch, self.noise = batch, noise
        self.module: nn.Module = nn.Linear(3, 1)
        nn.init.zeros_(self.module.weight)
        nn.init.zeros_(self.module.bias)
        self.settings = {"batch": batch, "samples": samples}

    def training_batches(self, epoch: int) -> PointBatches:
        count = len(self.points.names)
        order = torch.randperm(count, generator=make_generator(5, epoch))
        return PointBatches(self.points, order, self.batch)

    def validation_batches(self) -> PointBatches:
        return PointBatches(self.points, torch.arange(len(self.points.names)), self.batch)

    def loss(self, batch: Points, generator: torch.Generator) -> PointLoss:
        jitter = self.noise * torch.randn(batch.x.shape, generator=generator)
        error = self.module(batch.x + jitter.to(batch.x.device)) - batch.y
        square, absolute = error.float().square().mean(), error.float().abs().mean()
        return PointLoss(square, {"absolute": absolute})

    def compile(self) -> None:
        self.module.compile()

    def batch_names(self, batch: Points) -> tuple[str, ...]:
        return batch.names

    def batch_size(self, batch: Points) -> int:
        return len(batch.names)

    def loss_weight(self, batch: Points) -> float:
        return float(len(batch.names))

    def to(self, batch: Points, device: torch.device) -> Points:
        return dataclasses.replace(batch, x=batch.x.to(device), y=batch.y.to(device))


class DropoutTask(LineTask):
    """A small network with dropout and noisy inputs: every source of randomness is in use."""

    def __init__(self, *, batch: int = 4, samples: int = 22) -> None:
        super().__init__(batch=batch, samples=samples, noise=0.1)
        layers = [nn.Linear(3, 16), nn.LayerNorm(16), nn.Dropout(0.3), nn.Linear(16, 1)]
        self.module = nn.Sequential(*layers)
        generator = make_generator(7)
        for parameter in self.module.parameters():
            nn.init.normal_(parameter, std=0.3, generator=generator)


class BrokenTask(LineTask):
    """One sample of the data has a NaN."""

    def __init__(self, bad_sample: int = 13) -> None:
        super().__init__()
        self.points.x[bad_sample, 1] = torch.nan


class OddTask(DropoutTask):
    """Five batches per epoch, the last with two samples: two processes cannot share them evenly."""

    def __init__(self, bad_sample: int | None = None) -> None:
        super().__init__(batch=5)
        if bad_sample is not None:
            self.points.x[bad_sample, 1] = torch.nan


class SlowTask(DropoutTask):
    """Leaves a test the time to send a signal."""

    def loss(self, batch: Points, generator: torch.Generator) -> PointLoss:
        time.sleep(0.02)
        return super().loss(batch, generator)


class FatalTask(DropoutTask):
    """Kills its process while it computes the loss of step 13."""

    calls = 0

    def loss(self, batch: Points, generator: torch.Generator) -> PointLoss:
        self.calls += self.module.training
        if self.calls == 13:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().loss(batch, generator)
