"""Which back end of point attention `auto` stands for."""

import logging
from functools import cache
from typing import Literal

from foldwright.nn.point_attention.terms import DenseTerms, NeighbourTerms, PointAttentionTerms
from foldwright.runtime.tuning import measured_crossover

PointBackend = Literal["auto", "reference", "dense", "tiles", "sdpa", "triton", "gather"]

_LOG = logging.getLogger(__name__)
_DEFAULT_CROSSOVER = 512


def choose_backend(terms: PointAttentionTerms) -> PointBackend:
    """Choose by representation first, then by length and device.

    Dense pairs have only the dense evaluation, sparse ones only their lists. Of the others, chains
    below the crossover are evaluated densely and longer ones in linear memory. The crossover is 512
    unless `foldwright doctor --tune` measured another; which one holds is logged once.
    """
    if isinstance(terms.pair, NeighbourTerms):
        return "gather"
    if isinstance(terms.pair, DenseTerms):
        return "dense"
    device = terms.query.device.type
    return "dense" if terms.mask.shape[1] < _crossover(device) else linear_backend(device)


@cache
def linear_backend(device_type: str) -> PointBackend:
    """Return the back end that is linear in memory on a kind of device.

    Not `triton` on CUDA devices: its kernels give the right numbers in the interpreter and compile
    for capabilities 8.0 and 9.0, but nobody has run them on a GPU yet.
    """
    return "tiles" if device_type == "cpu" else "sdpa"


def describe_choice(device_type: str) -> tuple[str, str]:
    """Return what `auto` stands for where the length decides, and why; reads what was measured."""
    length, reason = _crossover_and_reason(device_type)
    linear = linear_backend(device_type)
    if length == 0:
        return f"{linear} at every length", reason
    return f"dense below {length} keys, {linear} from there", reason


def _crossover_and_reason(device_type: str) -> tuple[int, str]:
    measured = measured_crossover(device_type)
    if measured is None:
        return _DEFAULT_CROSSOVER, "the default; `foldwright doctor --tune` measures it"
    return measured, "measured on this machine by `foldwright doctor --tune`"


@cache
def _crossover(device_type: str) -> int:
    choice, reason = describe_choice(device_type)
    _LOG.info("point attention on %s: %s (%s)", device_type, choice, reason)
    return _crossover_and_reason(device_type)[0]
