"""What the network sees of coordinates and time."""

import pytest
import torch
from torch import Tensor

from foldwright.geometry.frenet import frenet_frames
from foldwright.geometry.rigid import Rigid
from foldwright.models.backbone.features import PairFeatureNet, SingleFeatureNet, pair_distance
from tests.geometry.rotations import MIRROR, random_rotations
from tests.golden_numbers import assert_close
from tests.models.backbone.small_models import walks
from tests.nn.random_blocks import lengths_mask, normal, with_random_weights

LENGTHS, N, C_S, C_P = [8, 5], 8, 6, 7
MASK = lengths_mask(LENGTHS, N)
TEMPLATES = ["distance", "geometry"]


def pair_net(template: str, *, self_conditioning: bool = False) -> PairFeatureNet:
    net = PairFeatureNet(C_S, C_P, clip=3, template=template, self_conditioning=self_conditioning)
    return with_random_weights(net)


def chains() -> Tensor:
    return torch.stack(walks([N, N])) * MASK[..., None]


def frames_of(ca: Tensor) -> Rigid:
    return Rigid(frenet_frames(ca, MASK), ca)


@pytest.mark.parametrize("template", TEMPLATES)
@torch.no_grad()
def test_pairs_do_not_turn_or_move_with_the_chain(template: str) -> None:
    net, ca, s = pair_net(template), chains(), normal(2, N, C_S)
    moved = ca @ random_rotations().T + 100
    assert_close(net(s, frames_of(moved), MASK), net(s, frames_of(ca), MASK), 1e-8)


@pytest.mark.parametrize(("template", "sees"), [("distance", False), ("geometry", True)])
@torch.no_grad()
def test_only_the_geometry_template_sees_handedness(template: str, sees: bool) -> None:
    net, ca, s = pair_net(template), chains(), normal(2, N, C_S)
    change = net(s, frames_of(ca @ MIRROR), MASK) - net(s, frames_of(ca), MASK)
    assert (float(change.abs().max()) > 0.1) is sees


@pytest.mark.parametrize("template", TEMPLATES)
@torch.no_grad()
def test_padding_is_zero_and_does_not_matter(template: str) -> None:
    net, ca, s = pair_net(template), chains(), normal(2, N, C_S)
    z = net(s, frames_of(ca), MASK)
    assert not z[~(MASK[:, :, None] & MASK[:, None])].any()
    alone = frames_of(ca)
    alone = Rigid(alone.rots[1:, :5], alone.trans[1:, :5])
    assert_close(z[1:, :5, :5], net(s[1:, :5], alone, MASK[1:, :5]), 1e-10)


@torch.no_grad()
def test_row_looks_at_column_from_its_own_frame() -> None:
    """Channels of the geometry template: 24 of distance, direction of j seen from i, turn."""
    net = pair_net("geometry")
    frames = frames_of(chains())
    template = net._template(frames)
    i, j = 2, 5
    distance = float((frames.trans[0, j] - frames.trans[0, i]).norm())
    local = frames.rots[0, i].T @ (frames.trans[0, j] - frames.trans[0, i])
    assert template.shape[-1] == 36
    assert_close(template[0, i, j, 24:27], local / (1 + distance), 1e-9)
    turn = frames.rots[0, i].T @ frames.rots[0, j]
    assert_close(template[0, i, j, 27:], turn.flatten(), 1e-12)
    assert abs(int(template[0, i, j, :24].argmax()) * 30 / 23 - distance) < 30 / 46


@torch.no_grad()
def test_self_conditioning_is_read_where_built_and_refused_elsewhere() -> None:
    s, ca = normal(2, N, C_S), chains()
    net = pair_net("distance", self_conditioning=True)
    without = net(s, frames_of(ca), MASK)
    assert (net(s, frames_of(ca), MASK, ca) - without).abs().max() > 0.1
    turned = ca @ random_rotations().T + 50
    assert_close(net(s, frames_of(ca), MASK, turned), net(s, frames_of(ca), MASK, ca), 1e-8)
    with pytest.raises(ValueError, match="built without self_conditioning"):
        pair_net("distance")(s, frames_of(ca), MASK, ca)


@torch.no_grad()
def test_single_features_depend_on_place_and_time_only() -> None:
    net = with_random_weights(SingleFeatureNet(C_S, c_position=8, c_timestep=6, num_timesteps=100))
    s = net(torch.tensor([3, 3]), MASK, position_period=32)
    assert_close(s[0, :5], s[1, :5], 0)
    assert_close(s[1, 5:], net.linear.bias.expand(3, C_S), 0)
    later = net(torch.tensor([4, 3]), MASK, position_period=32)
    assert (later[0] - s[0]).abs().max() > 1e-3
    assert torch.equal(later[1], s[1])
    other_period = net(torch.tensor([3, 3]), MASK, position_period=N)
    assert (other_period - s)[MASK].abs().max() > 1e-2


def test_distances_and_their_gradient_on_the_diagonal() -> None:
    ca = torch.tensor([[[0.0, 0, 0], [3, 4, 0], [3, 4, 0]]], dtype=torch.float64)
    ca.requires_grad_()
    distance = pair_distance(ca)
    expected = torch.tensor([[1e-5, 5, 5], [5, 1e-5, 1e-5], [5, 1e-5, 1e-5]])
    assert_close(distance[0].detach(), expected, 1e-9)
    distance.sum().backward()
    assert torch.isfinite(ca.grad).all()


@torch.no_grad()
def test_turns_keep_their_digits_in_low_precision() -> None:
    net = pair_net("geometry").float()
    frames = frames_of(chains().float())
    exact = net._template(frames)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert_close(net._template(frames), exact, 1e-6)
