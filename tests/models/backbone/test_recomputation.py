"""How many layers are recomputed for a given memory."""

import pytest

from foldwright.models.backbone.recomputation import layers_to_recompute


@pytest.mark.parametrize(
    ("free", "expected"),
    [
        (1_000_000, 0),
        (1500, 0),  # exactly what ten layers keep, and two to work in
        (1499, 1),
        (1100, 4),  # six that keep 100 and four that keep 20
        (500, 10),
        (0, 10),
    ],
)
def test_least_number_that_fits(free: int, expected: int) -> None:
    assert layers_to_recompute(10, kept=100, between=20, free=free) == expected


def test_no_layers_and_layers_that_keep_nothing() -> None:
    assert layers_to_recompute(0, kept=100, between=20, free=0) == 0
    assert layers_to_recompute(5, kept=20, between=20, free=1000) == 0
