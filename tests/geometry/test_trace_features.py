import math

import torch

from foldwright.geometry.torsion import dihedral_angle
from foldwright.geometry.trace_features import contract, products, trace_units, wide_factors


def test_units_of_a_known_trace(mixed_chain):
    ca = mixed_chain[:, 1]
    units = trace_units(ca)
    torch.testing.assert_close(
        units.turn[1:-1], dihedral_angle(ca[:-3], ca[1:-2], ca[2:-1], ca[3:])
    )
    torch.testing.assert_close(units.length, (ca[1:] - ca[:-1]).norm(dim=-1))
    assert units.has_far.tolist() == [2 <= i < 42 for i in range(44)]
    assert units.has_left.tolist() == [i > 0 for i in range(44)]
    assert units.has_right.tolist() == [i < 43 for i in range(44)]
    # Left-right angle across the axis is the dihedral.
    inner = units.turn[1:-1]
    cosine = (units.left * units.right).sum(-1)[1:-1]
    torch.testing.assert_close(cosine, torch.cos(inner))


def test_a_break_ends_the_context_on_both_sides(mixed_chain):
    ca = mixed_chain[:, 1].clone()
    ca[20:] += 10.0
    units = trace_units(ca)
    assert not units.linked[19]
    assert [i for i in range(44) if not units.has_far[i]] == [0, 1, *range(17, 22), 42, 43]
    assert float(units.bend[19]) == float(units.bend[20]) == 0
    assert float(units.turn[18]) == float(units.turn[20]) == 0


def test_scaled_angle_of_a_right_angle():
    ca = torch.tensor([[3.8, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 3.8, 0.0]])
    assert math.isclose(float(trace_units(ca).bend[1]), (math.pi / 2 - 1.85) / 0.35, abs_tol=1e-5)


def test_contraction_is_the_product_written_out(mixed_chain):
    factors = wide_factors(trace_units(mixed_chain[:, 1]))
    flat = torch.cat([products(first, second) for first, second in factors], dim=1)
    generator = torch.Generator().manual_seed(0)
    coefficients = torch.randn(flat.shape[1], 2, dtype=torch.float64, generator=generator)
    torch.testing.assert_close(contract(factors, coefficients), flat @ coefficients)
