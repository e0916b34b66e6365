import math

import pytest
import torch

from foldwright.geometry.torsion import bond_angle, dihedral_angle, place_atom

DTYPES = {torch.float32: 2e-6, torch.float64: 1e-12}


def points(*rows: tuple[float, float, float], dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.tensor(rows, dtype=dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("angle", [1e-6, 0.3, math.pi / 2, 3.0, math.pi - 1e-6])
def test_bond_angle_is_the_one_drawn_even_near_a_straight_line(dtype, angle):
    a = torch.tensor([2.0, 0.0, 0.0], dtype=dtype)
    c = 3 * torch.tensor([math.cos(angle), math.sin(angle), 0.0], dtype=dtype)
    found = bond_angle(a, torch.zeros_like(a), c)
    assert found.dtype == dtype
    assert float(found) == pytest.approx(angle, abs=DTYPES[dtype])


@pytest.mark.parametrize("dihedral", [-3.0, -math.pi / 2, -0.1, 0.0, 0.7, math.pi / 2, 3.1])
def test_dihedral_is_positive_for_a_clockwise_turn_looking_along_the_axis(dihedral):
    # Looking along +z, clockwise takes +x to +y.
    d = points((math.cos(dihedral), math.sin(dihedral), 5.0))[0]
    a, b, c = points((1.0, 0.0, -1.0), (0.0, 0.0, 0.0), (0.0, 0.0, 4.0))
    assert float(dihedral_angle(a, b, c, d)) == pytest.approx(dihedral, abs=1e-12)


def test_mirror_image_has_the_opposite_dihedral():
    atoms = torch.randn(4, 50, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    mirrored = atoms * torch.tensor([1.0, 1.0, -1.0])
    torch.testing.assert_close(dihedral_angle(*mirrored), -dihedral_angle(*atoms))


def test_angles_have_finite_gradients_where_they_do_not_exist():
    line = points((0, 0, 0), (1, 0, 0), (2, 0, 0), (3, 0, 0)).requires_grad_()
    same = torch.ones(4, 3, dtype=torch.float64, requires_grad=True)
    for atoms in (line, same):
        assert float(dihedral_angle(*atoms).detach()) == 0
        (dihedral_angle(*atoms) + bond_angle(*atoms[:3])).backward()
        assert atoms.grad is not None
        assert torch.isfinite(atoms.grad).all()


def test_gradients_are_those_of_the_formula():
    atoms = torch.randn(4, 5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    atoms.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: dihedral_angle(*x), atoms)
    assert torch.autograd.gradcheck(lambda x: bond_angle(*x[:3]), atoms)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_placed_atom_has_the_length_angle_and_dihedral_asked_for(dtype):
    generator = torch.Generator().manual_seed(2)
    a, b, c = torch.randn(3, 40, 3, dtype=dtype, generator=generator)
    length, angle, dihedral = torch.rand(3, 40, dtype=dtype, generator=generator)
    angle, dihedral = 0.5 + 2 * angle, 6 * dihedral - 3
    d = place_atom(a, b, c, length=length, angle=angle, dihedral=dihedral)
    tolerance = {"rtol": 0, "atol": 200 * DTYPES[dtype]}
    torch.testing.assert_close((d - c).norm(dim=-1), length, **tolerance)
    torch.testing.assert_close(bond_angle(b, c, d), angle, **tolerance)
    torch.testing.assert_close(dihedral_angle(a, b, c, d), dihedral, **tolerance)


def test_an_atom_can_be_placed_after_three_in_a_line():
    a, b, c = points((0, 0, 0), (1, 0, 0), (2, 0, 0))
    d = place_atom(a, b, c, length=1.5, angle=2.0, dihedral=1.0)
    assert float(bond_angle(b, c, d)) == pytest.approx(2.0)
    assert float((d - c).norm()) == pytest.approx(1.5)


def test_half_precision_is_computed_in_single():
    atoms = torch.randn(4, 6, 3, generator=torch.Generator().manual_seed(3)).half()
    torch.testing.assert_close(dihedral_angle(*atoms), dihedral_angle(*atoms.float()))
