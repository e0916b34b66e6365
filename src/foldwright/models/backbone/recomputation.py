"""How many pair layers are recomputed in the backward pass, from the memory that is free."""

import math

_SHARE = 0.8
# While one layer's backward pass runs, it needs about as much again as the layer keeps, and once
# more where the layer is recomputed first.
_WORKING_COPIES = 2


def layers_to_recompute(num_layers: int, *, kept: int, between: int, free: int) -> int:
    """Return the least number of layers to recompute so that a training step fits.

    Args:
        num_layers: layers to decide about.
        kept: bytes that a layer keeps for its backward pass.
        between: bytes of the representation between layers, which recomputed ones keep.
        free: bytes that are free before the first of these layers; 80 % of them are used.
    """
    room = _SHARE * free - _WORKING_COPIES * kept - num_layers * between
    saving = max(kept - between, 1)
    missing = num_layers * saving - room
    return min(num_layers, max(0, math.ceil(missing / saving)))
