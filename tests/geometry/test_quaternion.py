"""Quaternions and matrices are two forms of one rotation."""

import math
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from foldwright.geometry.quaternion import matrix_to_quaternion, multiply, quaternion_to_matrix
from tests.geometry.rotations import random_rotations, rotation_about
from tests.golden_numbers import assert_close, load_golden

AXES = [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [1, -1, 1], [-0.2, 0.1, 3]]
DTYPES = [(torch.float64, 1e-12), (torch.float32, 2e-6)]
axes = st.tuples(*[st.integers(-5, 5)] * 3).filter(any).map(lambda axis: [float(x) for x in axis])


def unit(seed: int, *shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    quaternion = torch.randn(*shape, 4, generator=generator, dtype=torch.float64)
    return torch.nn.functional.normalize(quaternion, dim=-1).to(dtype)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 1e-5)])
def test_unnormalised_quaternion_as_in_genie(shared_golden: Path, dtype, tolerance) -> None:
    golden = load_golden(shared_golden, "genie/affine", dtype)
    found = quaternion_to_matrix(golden.input("quat"))
    assert_close(found, golden.result("quat_to_rot_unnormalised"), tolerance)


@pytest.mark.parametrize("degrees", [0, 1e-5, 30, 90, 179.999, 180, 270])
@pytest.mark.parametrize("axis", AXES)
def test_axis_and_angle(axis: list[float], degrees: float) -> None:
    half = math.radians(degrees) / 2
    scale = math.sin(half) / math.hypot(*axis)
    numbers = [math.cos(half), *(scale * value for value in axis)]
    quaternion = torch.tensor(numbers, dtype=torch.float64)
    expected = rotation_about(axis, degrees)
    assert_close(quaternion_to_matrix(quaternion), expected, 1e-12)
    assert_close(quaternion_to_matrix(matrix_to_quaternion(expected)), expected, 1e-12)


@settings(max_examples=40, deadline=None)
@given(axis=axes, degrees=st.floats(0, 180))
def test_matrix_there_and_back(axis: list[float], degrees: float) -> None:
    matrix = rotation_about(axis, degrees)
    quaternion = matrix_to_quaternion(matrix)
    assert quaternion[0] >= 0
    assert abs(float(quaternion.norm()) - 1) < 1e-12
    assert_close(quaternion_to_matrix(quaternion), matrix, 1e-12)
    assert abs(float(quaternion[0]) - math.cos(math.radians(degrees) / 2)) < 1e-7


@settings(max_examples=20, deadline=None)
@given(axis=axes)
def test_half_turns_come_back(axis: list[float]) -> None:
    matrix = rotation_about(axis, 180.0)
    quaternion = matrix_to_quaternion(matrix)
    assert abs(float(quaternion[0])) < 1e-12
    assert_close(quaternion_to_matrix(quaternion), matrix, 1e-12)
    assert_close(quaternion_to_matrix(matrix_to_quaternion(matrix.float())), matrix, 2e-6)


@pytest.mark.parametrize(("dtype", "tolerance"), DTYPES)
def test_random_rotations_there_and_back(dtype: torch.dtype, tolerance: float) -> None:
    matrix = random_rotations(3, 40, dtype=dtype)
    quaternion = matrix_to_quaternion(matrix)
    assert quaternion.dtype == dtype
    assert_close(quaternion_to_matrix(quaternion), matrix, tolerance)
    assert (quaternion[..., 0] >= 0).all()


def test_opposite_quaternions_are_one_rotation_and_length_scales() -> None:
    quaternion = unit(1, 7)
    matrix = quaternion_to_matrix(quaternion)
    assert_close(quaternion_to_matrix(-quaternion), matrix, 0)
    assert_close(quaternion_to_matrix(3 * quaternion), 9 * matrix, 1e-12)
    assert_close(torch.linalg.det(matrix), torch.ones(7), 1e-12)
    assert_close(matrix @ matrix.mT, torch.eye(3).expand(7, 3, 3), 1e-12)


@pytest.mark.parametrize(("dtype", "tolerance"), DTYPES)
def test_product_is_composition(dtype: torch.dtype, tolerance: float) -> None:
    a, b, c = (unit(seed, 4, 6, dtype=dtype) for seed in (1, 2, 3))
    product = quaternion_to_matrix(a) @ quaternion_to_matrix(b)
    assert_close(quaternion_to_matrix(multiply(a, b)), product, 3 * tolerance)
    assert_close(multiply(multiply(a, b), c), multiply(a, multiply(b, c)), 3 * tolerance)
    assert_close(multiply(a, b).norm(dim=-1), torch.ones(4, 6), 3 * tolerance)


def test_hamilton_units() -> None:
    one, i, j, k = torch.eye(4).double()
    assert_close(multiply(i, j), k, 0)
    assert_close(multiply(j, k), i, 0)
    assert_close(multiply(k, i), j, 0)
    assert_close(multiply(j, i), -k, 0)
    for imaginary in (i, j, k):
        assert_close(multiply(imaginary, imaginary), -one, 0)
