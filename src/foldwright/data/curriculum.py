"""Short chains first: the longest chain of an epoch, as a function of the epoch alone."""

import math
from typing import Literal

from pydantic import Field

from foldwright.runtime.config import Config


class CurriculumConfig(Config):
    """How the longest chain grows from epoch to epoch, up to the longest of the run.

    Epochs and not steps count, so that the batches of an epoch stay a function of the seed and the
    epoch, and a resumed run needs to remember nothing.
    """

    start_length: int = Field(ge=4, description="longest chain or crop of the first epochs")
    hold_epochs: int = Field(default=0, ge=0, description="epochs before the length grows")
    growth_epochs: int = Field(ge=1, description="epochs over which it grows to the full length")
    shape: Literal["linear", "cosine", "quadratic"] = Field(
        default="linear", description="course of the growth"
    )


def longest_chain(plan: CurriculumConfig, epoch: int, full: int) -> int:
    """Return the longest chain of an epoch; never more than `full`."""
    share = min(max((epoch - plan.hold_epochs) / plan.growth_epochs, 0.0), 1.0)
    if plan.shape == "cosine":
        share = (1 - math.cos(math.pi * share)) / 2
    elif plan.shape == "quadratic":
        share = share**2
    start = min(plan.start_length, full)
    return start + int(share * (full - start) + 0.5)
