"""The loss on batches that are not trained on."""

import math
from typing import Any

import torch

from foldwright.runtime.seeds import derive_seed, make_generator
from foldwright.training.distributed import Ranks
from foldwright.training.precision import PrecisionPolicy
from foldwright.training.randomness import seed_modules
from foldwright.training.step import NonFiniteError
from foldwright.training.task import Task


@torch.no_grad()
def validate(task: Task[Any], ranks: Ranks, policy: PrecisionPolicy, seed: int) -> dict[str, float]:
    """Return the mean loss and its terms over all validation batches, by name.

    The random numbers are the same every time, so that two results differ by the weights alone.
    Every process takes its share of the batches.

    Raises:
        NonFiniteError: the loss of a batch is not finite.
    """
    task.module.eval()
    batches = task.validation_batches()
    sums: dict[str, float] = {}
    total = 0.0
    problems = []
    for index in range(ranks.rank, len(batches), ranks.num_ranks):
        batch = batches[index]
        weight = task.loss_weight(batch)
        item_seed = derive_seed(seed, "validation", index)
        for name, value in _losses(task, ranks, policy, batch, item_seed).items():
            sums[name] = sums.get(name, 0.0) + weight * value
            if not math.isfinite(value):
                problems.append(f"{name} is {value} for {', '.join(task.batch_names(batch))}")
        total += weight
    shares = ranks.gather((total, sums, problems))
    found = [problem for _, _, part in shares for problem in part]
    if found:
        raise NonFiniteError(f"validation: {'; '.join(found)}")
    whole = sum(part for part, _, _ in shares)
    names = dict.fromkeys(name for _, part, _ in shares for name in part)
    return {name: sum(part.get(name, 0.0) for _, part, _ in shares) / whole for name in names}


def _losses(
    task: Task[Any], ranks: Ranks, policy: PrecisionPolicy, batch: Any, seed: int
) -> dict[str, float]:
    seed_modules(ranks.device, derive_seed(seed, "modules"))
    with policy.autocast():
        report = task.loss(task.to(batch, ranks.device), make_generator(seed))
    values = torch.stack([report.total.float(), *(part.float() for part in report.parts.values())])
    return dict(zip(["loss", *report.parts], values.tolist(), strict=True))
