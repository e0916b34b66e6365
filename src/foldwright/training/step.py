"""One optimiser step: losses of its batches, gradients, clipping, update."""

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from foldwright.runtime.errors import FoldwrightError
from foldwright.runtime.seeds import derive_seed, make_generator
from foldwright.training.config import FitConfig
from foldwright.training.diagnosis import find_non_finite
from foldwright.training.distributed import Ranks
from foldwright.training.optimiser import build_optimiser, set_learning_rate
from foldwright.training.precision import PrecisionPolicy
from foldwright.training.randomness import seed_modules
from foldwright.training.schedule import learning_rate
from foldwright.training.stream import StepPlan
from foldwright.training.task import LossReport, Task

_SMALLEST_SCALE = 1.0 / 1024.0
"""Below this scale of the loss, float16 gradients overflow because they are wrong."""


class NonFiniteError(FoldwrightError):
    """A loss or gradient that is NaN or infinite."""


@dataclass(frozen=True)
class StepOutcome:
    """What a step measured over the batches of all processes."""

    losses: Mapping[str, float]
    gradient_norm: float
    learning_rate: float
    samples: int
    applied: bool
    """False where float16 gradients overflowed: the scale is lowered and the step left out."""


class StepRunner:
    """Carries out steps. Step k draws from `(seed, "step", k, slot)` and from nothing else."""

    def __init__(
        self, task: Task[Any], config: FitConfig, ranks: Ranks, policy: PrecisionPolicy
    ) -> None:
        self._task = task
        self._config = config
        self._ranks = ranks
        self._policy = policy
        self.optimiser = build_optimiser(task.module, config.optimiser)
        self.scaler = policy.scaler()

    def run(self, step: int, plan: StepPlan, batches: list[Any]) -> StepOutcome:
        """Take step `step`, counted from 1; the loss is the mean over all batches of the step.

        Raises:
            NonFiniteError: the loss or a gradient is not finite; nothing was updated.
        """
        self._task.module.train()
        self.optimiser.zero_grad(set_to_none=True)
        samples, weights = self._totals(batches)
        rate = learning_rate(self._config, step)
        set_learning_rate(self.optimiser, rate)
        reports = []
        for slot, batch in zip(plan.slots, batches, strict=True):
            weight = self._task.loss_weight(batch) / weights
            report = self._compute(step, slot, batch)
            self.scaler.scale(report.total * weight).backward()
            reports.append((weight, _detached(report)))
        self._ranks.sum_gradients(self._task.module)
        self.scaler.unscale_(self.optimiser)
        losses, norm = self._measure(reports)
        overflow = self.scaler.is_enabled() and self.scaler.get_scale() >= _SMALLEST_SCALE
        if not math.isfinite(losses["loss"]) or not (math.isfinite(norm) or overflow):
            self._fail(step, plan, batches)
        self._update(norm)
        return StepOutcome(losses, norm, rate, samples, math.isfinite(norm))

    def _totals(self, batches: list[Any]) -> tuple[int, float]:
        """Samples of the step and the sum of their weights, over all processes."""
        samples = sum(self._task.batch_size(batch) for batch in batches)
        weight = sum(self._task.loss_weight(batch) for batch in batches)
        shares = self._ranks.gather((samples, weight))
        return sum(count for count, _ in shares), sum(part for _, part in shares)

    def _compute(self, step: int, slot: int, batch: Any) -> LossReport:
        config, device = self._config, self._ranks.device
        seed_modules(device, derive_seed(config.seed, "modules", step, slot))
        generator = make_generator(config.seed, "step", step, slot)
        with self._policy.autocast():
            return self._task.loss(self._task.to(batch, device), generator)

    def _measure(
        self, reports: list[tuple[float, dict[str, Tensor]]]
    ) -> tuple[dict[str, float], float]:
        """Weighted losses over all processes and the norm of the gradient, in one transfer."""
        gradients = [p.grad for p in self._task.module.parameters() if p.grad is not None]
        norm = torch.nn.utils.get_total_norm(gradients)
        names = [(weight, name) for weight, report in reports for name in report]
        values = [value.float() for _, report in reports for value in report.values()]
        *numbers, norm_value = torch.stack([*values, norm.float()]).tolist()
        local: dict[str, float] = {}
        for (weight, name), number in zip(names, numbers, strict=True):
            local[name] = local.get(name, 0.0) + weight * number
        totals: dict[str, float] = {}
        for shares in self._ranks.gather(local):
            for name, share in shares.items():
                totals[name] = totals.get(name, 0.0) + share
        return totals, norm_value

    def _update(self, norm: float) -> None:
        largest = self._config.gradient_clip
        if largest is not None and math.isfinite(norm):
            parameters = self._task.module.parameters()
            torch.nn.utils.clip_grads_with_norm_(parameters, largest, torch.tensor(norm))
        self.scaler.step(self.optimiser)
        self.scaler.update()

    def _fail(self, step: int, plan: StepPlan, batches: list[Any]) -> None:
        """Say which batch of which process is at fault, and raise everywhere."""
        findings = []
        for slot, index, batch in zip(plan.slots, plan.batches, batches, strict=True):
            again = functools.partial(self._compute, step, slot, batch)
            found = find_non_finite(self._task.module, again)
            names = ", ".join(self._task.batch_names(batch))
            place = f"epoch {plan.epoch}, batch {index} ({names})"
            findings.append(f"{place}: {found}")
        every = [finding for part in self._ranks.gather(findings) for finding in part]
        raise NonFiniteError(
            f"step {step}: the loss or its gradient is not finite. First bad tensor by batch: "
            + "; ".join(every)
        )


def _detached(report: LossReport) -> dict[str, Tensor]:
    return {"loss": report.total.detach(), **{k: v.detach() for k, v in report.parts.items()}}
