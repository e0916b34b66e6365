"""Which layers of a stack have weights of their own."""

import re

_BLOCK = re.compile(r"block\(([1-9]\d*)\)")
CHOICES = "none, universal, alternating or block(k), for instance block(2)"
"""How a choice is written."""


def layer_order(sharing: str, num_layers: int) -> tuple[int, ...]:
    """Return for every place in a stack the number of the layer that stands there.

    `none` has a layer of its own at every place, `universal` the same one at all (Dehghani et al.
    2019), `alternating` two that take turns, `block(k)` one for every k places in a row, fewer in
    the last block.

    Raises:
        ValueError: the choice is none of these.
    """
    block = _BLOCK.fullmatch(sharing)
    if sharing not in ("none", "universal", "alternating") and block is None:
        raise ValueError(f"layer sharing is {sharing!r}; expected {CHOICES}")
    places = range(num_layers)
    if sharing == "none":
        return tuple(places)
    if sharing == "universal":
        return tuple(0 for _ in places)
    if sharing == "alternating":
        return tuple(place % 2 for place in places)
    assert block is not None
    return tuple(place // int(block[1]) for place in places)
