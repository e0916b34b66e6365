import torch

from foldwright.geometry.vectors import norm, normalise, normalise_across


def test_norm_and_unit_of_zero_have_finite_gradients():
    vector = torch.zeros(2, 3, requires_grad=True)
    (norm(vector).sum() + normalise(vector).sum()).backward()
    torch.testing.assert_close(vector.grad, torch.zeros(2, 3))


def test_a_vector_along_the_axis_gets_some_perpendicular():
    axis = normalise(torch.randn(50, 3, generator=torch.Generator().manual_seed(0)))
    for along in (0 * axis, 4 * axis, -axis):
        across = normalise_across(along, axis)
        torch.testing.assert_close((across * axis).sum(-1), torch.zeros(50), rtol=0, atol=1e-6)
        torch.testing.assert_close(norm(across), torch.ones(50))


def test_the_part_across_keeps_its_direction():
    axis = torch.tensor([0.0, 0.0, 1.0])
    across = normalise_across(torch.tensor([3.0, 4.0, 9.0]), axis)
    torch.testing.assert_close(across, torch.tensor([0.6, 0.8, 0.0]))
