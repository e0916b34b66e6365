import pytest
import torch

from foldwright.geometry.quaternion import quaternion_to_matrix
from foldwright.geometry.superposition import superpose
from foldwright.runtime.errors import InputError


def rotations(count: int, seed: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    quaternion = torch.randn(count, 4, dtype=dtype, generator=torch.Generator().manual_seed(seed))
    return quaternion_to_matrix(quaternion / quaternion.norm(dim=-1, keepdim=True))


def cloud(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return 10 * torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("dtype", "atol"), [(torch.float32, 1e-4), (torch.float64, 1e-11)])
def test_a_moved_copy_is_moved_back(dtype, atol):
    mobile, rotation = cloud(4, 30, 3, dtype=dtype), rotations(4, 1, dtype)
    shift = cloud(4, 3, seed=2, dtype=dtype)
    target = mobile @ rotation.mT + shift[:, None]
    found = superpose(mobile, target)
    torch.testing.assert_close(found.rotation, rotation, rtol=0, atol=atol)
    torch.testing.assert_close(found.translation, shift, rtol=0, atol=10 * atol)
    torch.testing.assert_close(found.apply(mobile), target, rtol=0, atol=10 * atol)
    torch.testing.assert_close(found.rmsd, torch.zeros(4, dtype=dtype), rtol=0, atol=10 * atol)


def test_a_mirror_image_does_not_superpose():
    mobile = cloud(1, 40, 3)
    target = mobile * torch.tensor([1.0, 1.0, -1.0])
    found = superpose(mobile, target)
    torch.testing.assert_close(torch.linalg.det(found.rotation), torch.ones(1, dtype=torch.float64))
    assert float(found.rmsd) > 1


def test_the_rmsd_is_the_least_over_rotations():
    mobile, target = cloud(25, 3), cloud(25, 3, seed=5)
    least = superpose(mobile, target).rmsd
    moved = mobile @ rotations(2000, 3).mT
    moved = moved - moved.mean(1, keepdim=True)
    others = (moved - (target - target.mean(0))).square().sum(-1).mean(-1).sqrt()
    assert float(least) <= float(others.min())
    assert float(others.min()) < 1.2 * float(least), "the search came nowhere near"


def test_points_in_a_plane_superpose_without_a_reflection():
    mobile = cloud(10, 3) * torch.tensor([1.0, 1.0, 0.0])
    rotation = rotations(1, 7)[0]
    found = superpose(mobile, mobile @ rotation.mT)
    torch.testing.assert_close(found.rotation, rotation)


def test_masked_points_have_no_influence_even_if_they_are_nan():
    mobile, target = cloud(2, 12, 3), cloud(2, 12, 3, seed=1)
    mask = torch.ones(2, 12, dtype=torch.bool)
    mask[:, 9:] = False
    short = superpose(mobile[:, :9], target[:, :9])
    mobile[:, 9:], target[:, 10:] = torch.nan, torch.inf
    found = superpose(mobile, target, mask=mask)
    torch.testing.assert_close(found.rotation, short.rotation)
    torch.testing.assert_close(found.rmsd, short.rmsd)


def test_a_weight_of_two_is_a_point_given_twice():
    mobile, target = cloud(8, 3), cloud(8, 3, seed=1)
    weights = torch.ones(8, dtype=torch.float64)
    weights[3] = 2
    twice = superpose(torch.cat([mobile, mobile[3:4]]), torch.cat([target, target[3:4]]))
    found = superpose(mobile, target, weights=weights)
    torch.testing.assert_close(found.rotation, twice.rotation)
    torch.testing.assert_close(found.rmsd, twice.rmsd)


def test_the_gradient_of_the_rmsd_is_exact_and_finite_at_zero():
    mobile, target = cloud(2, 6, 3).requires_grad_(), cloud(2, 6, 3, seed=1)
    assert torch.autograd.gradcheck(lambda x: superpose(x, target).rmsd, mobile)
    one_point = torch.tensor([True] + [False] * 5).expand(2, 6)
    found = superpose(mobile, mobile.detach(), mask=one_point).rmsd
    assert found.tolist() == [0, 0]
    found.sum().backward()
    assert bool((mobile.grad == 0).all())


def test_autocast_does_not_round_the_geometry():
    mobile, target = cloud(20, 3, dtype=torch.float32), cloud(20, 3, seed=1, dtype=torch.float32)
    plain = superpose(mobile, target)
    with torch.autocast("cpu", torch.bfloat16):
        cast = superpose(mobile, target)
        moved = cast.apply(mobile)
    torch.testing.assert_close(cast.rotation, plain.rotation)
    torch.testing.assert_close(moved, plain.apply(mobile))


def test_an_empty_mask_is_an_error_that_says_so():
    points = cloud(2, 5, 3)
    mask = torch.tensor([[True] * 5, [False] * 5])
    with pytest.raises(InputError, match="no point of positive weight"):
        superpose(points, points, mask=mask)


def test_rmsd_agrees_with_biotite():
    structure = pytest.importorskip("biotite.structure")
    mobile, target = cloud(50, 3), cloud(50, 3, seed=1)
    fitted, _ = structure.superimpose(target.numpy(), mobile.numpy())
    expected = float(structure.rmsd(target.numpy(), fitted))
    assert float(superpose(mobile, target).rmsd) == pytest.approx(expected, rel=1e-5)
