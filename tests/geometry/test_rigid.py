"""Rigid transforms are a group that acts on points, whatever the handedness of their matrices."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from foldwright.geometry.rigid import Rigid
from tests.geometry.rotations import MIRROR, random_rotations, rotation_about
from tests.golden_numbers import assert_close, load_golden

DTYPES = [(torch.float64, 1e-12), (torch.float32, 1e-5)]
precisions = pytest.mark.parametrize(("dtype", "tolerance"), DTYPES)


def draw(seed: int, dtype: torch.dtype = torch.float64, *, improper: bool = False) -> Rigid:
    rots = random_rotations(2, 5, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    trans = 20 * torch.randn(2, 5, 3, generator=generator, dtype=torch.float64)
    return Rigid((rots @ MIRROR if improper else rots).to(dtype), trans.to(dtype))


def points(dtype: torch.dtype = torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(9)
    return 10 * torch.randn(2, 5, 3, generator=generator, dtype=torch.float64).to(dtype)


def assert_same(found: Rigid, expected: Rigid, tolerance: float) -> None:
    assert_close(found.rots, expected.rots, tolerance)
    assert_close(found.trans, expected.trans, 20 * tolerance)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 1e-5)])
def test_operations_have_the_numbers_of_genie(shared_golden: Path, dtype, tolerance) -> None:
    golden = load_golden(shared_golden, "genie/affine", dtype)
    a = Rigid(golden.input("rots_a"), golden.input("trans_a"))
    b = Rigid(golden.input("rots_b"), golden.input("trans_b"))
    for name, found in (("compose", a.compose(b)), ("invert", a.invert())):
        assert_close(found.rots, golden.result(f"{name}_rots"), tolerance)
        assert_close(found.trans, golden.result(f"{name}_trans"), tolerance)
    assert_close(a.apply(golden.input("points")), golden.result("apply"), tolerance)
    assert_close(a.apply_inverse(golden.input("points")), golden.result("invert_apply"), tolerance)


def test_quarter_turn_about_z_then_a_step() -> None:
    turned = Rigid(rotation_about([0, 0, 1], 90), torch.tensor([10.0, 0.0, 0.0]).double())
    found = turned.apply(torch.tensor([1.0, 2.0, 3.0]).double())
    assert_close(found, torch.tensor([8.0, 1.0, 3.0]), 1e-12)


def test_origin_goes_to_the_translation_and_axes_are_columns() -> None:
    rigid = draw(1)
    origin = torch.zeros(2, 5, 3, dtype=torch.float64)
    assert_close(rigid.apply(origin), rigid.trans, 0)
    for axis in range(3):
        unit = origin.clone()
        unit[..., axis] = 1
        assert_close(rigid.apply(unit) - rigid.trans, rigid.rots[..., axis], 1e-12)


@pytest.mark.parametrize("improper", [False, True])
@precisions
def test_group_laws(dtype, tolerance, improper) -> None:
    a, b, c = (draw(seed, dtype, improper=improper) for seed in (1, 2, 3))
    one = Rigid.identity((2, 5), dtype=dtype)
    assert_same(a.compose(b).compose(c), a.compose(b.compose(c)), 5 * tolerance)
    for same in (a.compose(one), one.compose(a), a.invert().invert()):
        assert_same(same, a, tolerance)
    assert_same(a.compose(a.invert()), one, tolerance)
    assert_same(a.invert().compose(a), one, tolerance)
    assert_same(a.compose(b).invert(), b.invert().compose(a.invert()), 5 * tolerance)


@pytest.mark.parametrize("improper", [False, True])
@precisions
def test_composition_applies_the_inner_transform_first(dtype, tolerance, improper) -> None:
    a, b, x = draw(1, dtype, improper=improper), draw(2, dtype), points(dtype)
    assert_close(a.compose(b).apply(x), a.apply(b.apply(x)), 20 * tolerance)
    assert (b.compose(a).apply(x) - a.apply(b.apply(x))).abs().max() > 1


@precisions
def test_there_and_back(dtype, tolerance) -> None:
    rigid, x = draw(1, dtype, improper=True), points(dtype)
    assert_close(rigid.apply_inverse(rigid.apply(x)), x, 20 * tolerance)
    assert_close(rigid.invert().apply(x), rigid.apply_inverse(x), 20 * tolerance)
    assert rigid.apply(x).dtype == dtype


def test_distances_and_handedness_are_kept() -> None:
    x = points()
    for improper in (False, True):
        rigid = draw(4, improper=improper)
        one = Rigid(rigid.rots[:1, :1].expand(2, 5, 3, 3), rigid.trans[:1, :1].expand(2, 5, 3))
        moved = one.apply(x)
        assert_close(torch.cdist(moved, moved), torch.cdist(x, x), 1e-6)
        volume = torch.linalg.det(moved[:, 1:4] - moved[:, :1])
        sign = -1 if improper else 1
        assert_close(volume, sign * torch.linalg.det(x[:, 1:4] - x[:, :1]), 1e-6)


def test_geometry_stays_float32_under_autocast() -> None:
    rigid, x = draw(1, torch.float32), points(torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = rigid.apply(x)
    assert found.dtype == torch.float32
    assert_close(found, rigid.apply(x), 0)


def test_composition_stays_float32_under_autocast() -> None:
    a, b = draw(1, torch.float32), draw(2, torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = a.compose(b)
    assert found.rots.dtype == torch.float32
    assert_same(found, a.compose(b), 0)
