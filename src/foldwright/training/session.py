"""Process-wide settings of torch that hold while a run trains."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from foldwright.training.randomness import forked_randomness

_LOG = logging.getLogger(__name__)
_ALLOCATOR = ("PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF")


@contextmanager
def torch_session(device: torch.device, *, fixed_shapes: bool) -> Iterator[None]:
    """Set torch up for a run, and leave it as it was found.

    The search for the fastest cuDNN kernel is on where all shapes are the same, since each new
    shape repeats it. Random state of the caller is not touched.
    """
    if device.type == "cuda":
        _let_segments_grow()
    searched = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = fixed_shapes
    try:
        with forked_randomness(device):
            yield
    finally:
        torch.backends.cudnn.benchmark = searched


def _let_segments_grow() -> None:
    """Let CUDA segments expand, so that batches of many lengths do not fragment memory.

    torch reads this once, at its first allocation; a choice of the user's is kept.
    """
    if any(name in os.environ for name in _ALLOCATOR):
        return
    if torch.cuda.is_initialized():
        _LOG.info("CUDA memory is in use already: segments stay fixed, memory may fragment")
        return
    for name in _ALLOCATOR:
        os.environ[name] = "expandable_segments:True"
