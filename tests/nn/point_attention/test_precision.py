"""Low precision of features does not reach the geometry: 100 Å chains are as good as 10 Å ones."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from foldwright.nn.point_attention import attend
from foldwright.nn.point_attention.choice import PointBackend
from foldwright.nn.point_attention.terms import PointAttentionTerms
from tests.nn.random_blocks import normal

BACKENDS = pytest.mark.parametrize("backend", ["dense", "sdpa", "tiles"])
HALF, SINGLE, DOUBLE = torch.bfloat16, torch.float32, torch.float64


def helix(radius: float) -> Tensor:
    """C-alpha positions (n 3) in nm of a straight helix that reaches `radius` Å from its middle."""
    place = torch.arange(int(2 * radius / 1.5), dtype=DOUBLE)
    angle = place * math.radians(100)
    return torch.stack([0.23 * angle.cos(), 0.23 * angle.sin(), 0.15 * place], -1)


def terms(radius: float, *, features: torch.dtype, points: torch.dtype, origin: float = 0.0):
    """One head whose values are unit vectors, so that attended values are the weights."""
    ca = helix(radius)
    n = len(ca)
    ca = ca - ca.mean(0) + origin
    local = 0.2 * normal(2, 1, 1, n, 4, 3)
    placed = (ca[:, None] + local).to(points)
    mask = torch.ones(1, n, dtype=torch.bool)
    return PointAttentionTerms(
        query=(normal(1, 1, n, 16, seed=2) / 4).to(features),
        key=normal(1, 1, n, 16, seed=3).to(features),
        value=torch.eye(n)[None, None].to(features),
        query_points=placed[0],
        key_points=placed[1],
        value_points=placed[1][..., :1, :],
        point_weight=torch.tensor([3.0], dtype=points),
        mask=mask,
        query_mask=mask,
        pair=None,
    )


def variation(radius: float, backend: PointBackend, **kind) -> float:
    """Mean total variation between the rows of weights and those of float64 differences."""
    origin = kind.pop("origin", 0.0)
    truth = attend(terms(radius, features=DOUBLE, points=DOUBLE), backend="reference").scalars
    found = attend(terms(radius, origin=origin, **kind), backend=backend).scalars
    return (found.double() - truth).abs().sum(-1).mean().item() / 2


@BACKENDS
def test_features_in_bfloat16_with_points_in_float32(backend: PointBackend) -> None:
    near, far = (variation(r, backend, features=HALF, points=SINGLE) for r in (10.0, 100.0))
    assert 1e-5 < near < 1e-2
    assert far < 1.3 * near


@BACKENDS
def test_features_in_float32(backend: PointBackend) -> None:
    near, far = (variation(r, backend, features=SINGLE, points=SINGLE) for r in (10.0, 100.0))
    assert near < 1e-6
    assert far < 1e-5


def test_points_in_bfloat16_or_far_from_the_origin_would_not_do() -> None:
    """Which is why points stay in float32 and are taken about the centroid."""
    exact, rounded, distant = (
        variation(100.0, "dense", **kind)
        for kind in (
            {"features": SINGLE, "points": SINGLE},
            {"features": SINGLE, "points": HALF},
            {"features": SINGLE, "points": SINGLE, "origin": 100.0},
        )
    )
    assert rounded > 300 * exact
    assert distant > 30 * exact


def test_points_come_back_in_float32() -> None:
    truth = attend(terms(100.0, features=DOUBLE, points=DOUBLE), backend="reference").points
    t = terms(100.0, features=SINGLE, points=SINGLE)
    assert (attend(t, backend="tiles").points - truth).abs().max() < 1e-4  # nm
    half = attend(replace(t, query=t.query.to(HALF), key=t.key.to(HALF)), backend="tiles").points
    assert half.dtype == SINGLE
