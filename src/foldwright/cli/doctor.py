"""`foldwright doctor`: what this machine has, and what is fastest on it."""

from dataclasses import asdict
from typing import Annotated

import torch
from cyclopts import Parameter

from foldwright.cli.output import emit
from foldwright.nn.point_attention_tuning import crossover_of, time_lengths
from foldwright.runtime.device import best_device
from foldwright.runtime.machine import describe_machine
from foldwright.runtime.tuning import save_crossover, tuning_path


def doctor_command(
    *,
    tune: Annotated[bool, Parameter(negative="")] = False,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Show what this machine has: processors, memory, devices, compilers, optional packages.

    With --tune, time point attention at growing length on the CPU and on the GPU if there is one,
    and keep from which length on the evaluation in linear memory is used.

    Examples:
        foldwright doctor
        foldwright doctor --json
        foldwright doctor --tune

    Args:
        tune: Measure and keep what is fastest here; takes some seconds.
        as_json: Print a JSON list.
    """
    if tune:
        emit(_tune(), as_json)
    else:
        emit([asdict(finding) for finding in describe_machine()], as_json)
    return 0


def _tune() -> dict[str, object]:
    """Time every device of this machine and keep the crossovers."""
    crossovers, timings = [], []
    for device in dict.fromkeys(("cpu", str(best_device()))):
        found = time_lengths(torch.device(device))
        crossover = crossover_of(found)
        save_crossover(device, crossover)
        crossovers.append({"device": device, "linear_memory_from_length": crossover})
        timings += [{"device": device, **asdict(timing)} for timing in found]
    return {"kept_in": tuning_path(), "crossovers": crossovers, "timings": timings}
