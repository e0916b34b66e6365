"""`foldwright doctor`: what this machine has."""

from dataclasses import asdict
from typing import Annotated

from cyclopts import Parameter

from foldwright.cli.output import emit
from foldwright.runtime.machine import describe_machine


def doctor_command(
    *, as_json: Annotated[bool, Parameter(name="--json", negative="")] = False
) -> int:
    """Show what this machine has: processors, memory, devices, compilers, optional packages.

    Examples:
        foldwright doctor
        foldwright doctor --json

    Args:
        as_json: Print a JSON list.
    """
    emit([asdict(finding) for finding in describe_machine()], as_json)
    return 0
