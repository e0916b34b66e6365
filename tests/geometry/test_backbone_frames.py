import torch

from foldwright.geometry.backbone_frames import frames_from_backbone
from foldwright.geometry.quaternion import quaternion_to_matrix


def random_rotation(seed: int) -> torch.Tensor:
    quaternion = torch.randn(4, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return quaternion_to_matrix(quaternion / quaternion.norm())


def test_axes_are_those_of_algorithm_21():
    n = torch.tensor([[-1.0, 2.0, 0.0]])
    ca = torch.tensor([[1.0, 1.0, 0.0]])
    c = torch.tensor([[4.0, 1.0, 0.0]])
    frame = frames_from_backbone(n, ca, c)
    torch.testing.assert_close(frame.rots[0], torch.eye(3))
    torch.testing.assert_close(frame.trans, ca)


def test_frames_are_right_handed_and_turn_with_the_atoms():
    atoms = torch.randn(3, 20, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    rotation = random_rotation(1)
    frames = frames_from_backbone(*atoms)
    moved = frames_from_backbone(*(atoms @ rotation.mT + 7.0))
    torch.testing.assert_close(moved.rots, rotation @ frames.rots)
    torch.testing.assert_close(torch.linalg.det(frames.rots), torch.ones(20, dtype=torch.float64))


def test_degenerate_residues_give_orthonormal_frames_and_finite_gradients():
    ca = torch.zeros(3, 3)
    n = torch.tensor([[0.0, 0.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 1.0, 0.0]], requires_grad=True)
    c = torch.tensor([[0.0, 0.0, 0.0], [2.0, 0.0, 0.0], [0.0, 0.0, 0.0]], requires_grad=True)
    rots = frames_from_backbone(n, ca, c).rots
    torch.testing.assert_close(rots.mT @ rots, torch.eye(3).expand(3, 3, 3))
    rots.square().mul(torch.arange(9.0).reshape(3, 3)).sum().backward()
    assert n.grad is not None
    assert c.grad is not None
    assert torch.isfinite(n.grad).all()
    assert torch.isfinite(c.grad).all()
