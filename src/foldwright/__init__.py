"""Foldwright: generate, train and check proteins on the hardware people have.

The verbs of the command line are here too, imported when first used:
`fw.read_structure`, `fw.write_structure`.
"""

import importlib
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "read_structure": "foldwright.structure.io",
    "write_structure": "foldwright.structure.io",
}

__all__ = ["__version__", "read_structure", "write_structure"]


def __getattr__(name: str) -> Any:
    """Import a verb when it is first used, so that `import foldwright` stays fast."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
