"""The learning rate as a function of the step alone, so that resuming needs no saved state."""

import math

from foldwright.training.config import FitConfig


def learning_rate(config: FitConfig, step: int) -> float:
    """Return the learning rate of step `step`, counted from 1.

    Warm-up rises linearly and reaches the peak at step `warmup_steps`; a decay reaches
    `floor * peak` at step `decay_end` and stays there.
    """
    schedule, peak = config.schedule, config.optimiser.learning_rate
    if step < schedule.warmup_steps:
        return peak * step / schedule.warmup_steps
    flat = schedule.warmup_steps + schedule.hold_steps
    if schedule.kind == "constant" or step <= flat:
        return peak
    done = min(1.0, (step - flat) / (config.decay_end - flat))
    remaining = 1.0 - done if schedule.kind == "linear" else 0.5 * (1.0 + math.cos(math.pi * done))
    return peak * (schedule.floor + (1.0 - schedule.floor) * remaining)
