"""`foldwright doctor`: what this machine has, and what is fastest on it."""

from dataclasses import asdict
from typing import Annotated

import torch
from cyclopts import Parameter

from foldwright.cli.output import emit
from foldwright.nn.point_attention.choice import describe_choice
from foldwright.nn.point_attention.crossover import crossover_of, time_lengths
from foldwright.runtime.device import best_device
from foldwright.runtime.machine import Finding, describe_machine
from foldwright.runtime.tuning import save_crossover, tuning_path


def doctor_command(
    *,
    tune: Annotated[bool, Parameter(negative="")] = False,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Show what this machine has: processors, memory, devices, compilers, optional packages.

    The last lines say which evaluation of point attention is used on it, and why.

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
        findings = [*describe_machine(), *_back_ends()]
        emit([asdict(finding) for finding in findings], as_json)
    return 0


def _back_ends() -> list[Finding]:
    """What `auto` stands for on every device of this machine."""
    return [
        Finding(f"point attention on {device}", *describe_choice(torch.device(device).type))
        for device in _devices()
    ]


def _devices() -> list[str]:
    return list(dict.fromkeys(("cpu", str(best_device()))))


def _tune() -> dict[str, object]:
    """Time every device of this machine and keep the crossovers."""
    crossovers, timings = [], []
    for device in _devices():
        found = time_lengths(torch.device(device))
        length = crossover_of(found)
        save_crossover(device, length)
        crossovers.append({"device": device, "linear_memory_from_length": length})
        timings += [{"device": device, **asdict(timing)} for timing in found]
    return {"kept_in": tuning_path(), "crossovers": crossovers, "timings": timings}
