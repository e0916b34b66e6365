"""Which layer stands at which place."""

import pytest

from foldwright.nn.layer_sharing import layer_order


@pytest.mark.parametrize(
    ("sharing", "expected"),
    [
        ("none", (0, 1, 2, 3, 4)),
        ("universal", (0, 0, 0, 0, 0)),
        ("alternating", (0, 1, 0, 1, 0)),
        ("block(1)", (0, 1, 2, 3, 4)),
        ("block(2)", (0, 0, 1, 1, 2)),
        ("block(3)", (0, 0, 0, 1, 1)),
        ("block(9)", (0, 0, 0, 0, 0)),
    ],
)
def test_order(sharing: str, expected: tuple[int, ...]) -> None:
    assert layer_order(sharing, 5) == expected


def test_empty_stack() -> None:
    for sharing in ("none", "universal", "alternating", "block(2)"):
        assert layer_order(sharing, 0) == ()


@pytest.mark.parametrize(
    "sharing", ["block", "block(0)", "block(-1)", "Universal", "block(2) ", ""]
)
def test_other_words_are_refused(sharing: str) -> None:
    with pytest.raises(ValueError, match="expected none, universal, alternating or block"):
        layer_order(sharing, 3)
