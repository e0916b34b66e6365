"""The loss on batches that are not trained on."""

import math
from typing import Any

import torch

from foldwright.runtime.seeds import derive_seed, make_generator
from foldwright.training.distributed import Ranks
from foldwright.training.precision import PrecisionPolicy
from foldwright.training.step import NonFiniteError
from foldwright.training.task import Task


@torch.no_grad()
def validate(task: Task[Any], ranks: Ranks, policy: PrecisionPolicy, seed: int) -> dict[str, float]:
    """Return the mean loss and its terms over all validation samples, by name.

    The random numbers are the same every time, so that two results differ by the weights alone.
    Every process takes its share of the batches.

    Raises:
        NonFiniteError: the loss of a batch is not finite.
    """
    task.module.eval()
    batches = task.validation_batches()
    sums: dict[str, float] = {}
    samples = 0
    problems = []
    for index in range(ranks.rank, len(batches), ranks.num_ranks):
        batch = batches[index]
        size = task.batch_size(batch)
        for name, value in _losses(task, ranks, policy, batch, derive_seed(seed, index)).items():
            sums[name] = sums.get(name, 0.0) + size * value
            if not math.isfinite(value):
                problems.append(f"{name} is {value} for {', '.join(task.batch_names(batch))}")
        samples += size
    shares = ranks.gather((samples, sums, problems))
    found = [problem for _, _, part in shares for problem in part]
    if found:
        raise NonFiniteError(f"validation: {'; '.join(found)}")
    total = sum(count for count, _, _ in shares)
    names = dict.fromkeys(name for _, part, _ in shares for name in part)
    return {name: sum(part.get(name, 0.0) for _, part, _ in shares) / total for name in names}


def _losses(
    task: Task[Any], ranks: Ranks, policy: PrecisionPolicy, batch: Any, seed: int
) -> dict[str, float]:
    torch.manual_seed(derive_seed(seed, "modules"))
    with policy.autocast():
        report = task.loss(task.to(batch, ranks.device), make_generator(seed, "validation"))
    values = torch.stack([report.loss.float(), *(part.float() for part in report.parts.values())])
    return dict(zip(["loss", *report.parts], values.tolist(), strict=True))
