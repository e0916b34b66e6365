"""The global random state, which dropout draws from."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def forked_randomness(device: torch.device) -> Iterator[None]:
    """Leave the global random state of the caller as it was after the block."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        yield


def seed_modules(device: torch.device, seed: int) -> None:
    """Seed the global generators of the CPU and of `device`.

    Unlike `torch.manual_seed`, which notes the seed for each kind of device that was never used,
    and keeps every note: memory would grow with the steps.
    """
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)
    elif device.type == "mps":
        torch.mps.manual_seed(seed)
