"""Residual streams, shared layers and transitions: what each setting changes, and what it keeps."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from foldwright.geometry.frenet import frenet_frames
from foldwright.geometry.rigid import Rigid
from foldwright.models.backbone.config import GenieConfig
from foldwright.models.backbone.network import GenieDenoiser
from foldwright.nn.hyper_connections import STREAM_TERMS
from foldwright.nn.layer_sharing import layer_order
from foldwright.runtime.config import load_config
from foldwright.runtime.errors import InputError
from tests.models.backbone.small_models import SIZES, walks
from tests.nn.random_blocks import lengths_mask, normal, with_random_weights

KINDS = pytest.mark.parametrize("kind", ["dense", "factorized", "sparse"])
MASK = lengths_mask([12, 9], 12)


def settings(kind: str = "dense", **more: Any) -> GenieConfig:
    own = {"pair": kind, "pair_rank": 2, "pair_neighbours": 6, "triangle_attention": False}
    return GenieConfig(**SIZES | own | more)


def denoiser(kind: str = "dense", **more: Any) -> GenieDenoiser:
    return with_random_weights(GenieDenoiser(settings(kind, **more), num_timesteps=50))


def chains() -> Tensor:
    return torch.stack(walks([12, 12])) * MASK[..., None]


def run(net: nn.Module, ca: Tensor, mask: Tensor = MASK, **more: Any) -> Tensor:
    frames = Rigid(frenet_frames(ca, mask), ca)
    out: Tensor = net(frames, torch.tensor([7, 30])[: len(ca)], mask, **more).trans
    return out


def count(net: nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


@KINDS
@torch.no_grad()
def test_fresh_connections_change_nothing(kind: str) -> None:
    """Then the network on four streams has the plain one's weights and result."""
    plain = denoiser(kind, num_pair_layers=3, num_structure_layers=3)
    streamed = GenieDenoiser(
        settings(kind, num_pair_layers=3, num_structure_layers=3, residual_streams=4),
        num_timesteps=50,
    ).double()
    missing = streamed.eval().load_state_dict(plain.state_dict(), strict=False)
    assert not missing.unexpected_keys
    assert all(".connections." in name for name in missing.missing_keys)
    expected = run(plain, chains())
    torch.testing.assert_close(run(streamed, chains()), expected, atol=1e-5, rtol=1e-5)
    assert (expected - chains())[MASK].abs().max() > 0.1


@KINDS
@torch.no_grad()
def test_streams_turn_with_the_chain_and_ignore_padding(kind: str) -> None:
    net, ca = denoiser(kind, residual_streams=3), chains()
    assert not torch.allclose(run(net, ca), run(denoiser(kind), ca))
    turn = torch.linalg.qr(normal(3, 3, seed=2))[0]
    turn = turn * torch.linalg.det(turn)
    moved = run(net, ca @ turn.T + 9.0)
    torch.testing.assert_close(moved[MASK], (run(net, ca) @ turn.T + 9.0)[MASK])
    alone = run(net, ca[1:, :9], MASK[1:, :9])
    # the second chain alone has the time of the first
    tail = torch.nn.functional.pad
    padded = run(net, tail(ca[1:, :9], (0, 0, 0, 4)), tail(MASK[1:, :9], (0, 4)))
    torch.testing.assert_close(padded[:, :9], alone)


@KINDS
def test_every_parameter_learns_with_streams(kind: str) -> None:
    net = denoiser(kind, residual_streams=2, num_structure_layers=3)
    run(net, chains()).square().sum().backward()
    still = {n for n, p in net.named_parameters() if p.grad is None or not p.grad.abs().max() > 0}
    assert not still


@KINDS
def test_recomputing_streams_changes_neither_gradients_nor_terms(kind: str) -> None:
    results = []
    for again in (False, True):
        net = denoiser(kind, residual_streams=2, num_pair_layers=2, checkpoint_pairs=again)
        observed: list[Tensor] = []
        total = run(net, chains(), observed=observed).square().sum()
        (total + torch.stack(observed).sum()).backward()
        results.append(([p.grad for p in net.parameters()], torch.stack(observed).detach()))
    assert results[0][1].shape == (2 + 1, 2, len(STREAM_TERMS))
    torch.testing.assert_close(*(result[1] for result in results))
    for one, two in zip(results[0][0], results[1][0], strict=True):
        torch.testing.assert_close(one, two)


@pytest.mark.parametrize("sharing", ["none", "universal", "alternating", "block(2)"])
@KINDS
@torch.no_grad()
def test_shared_layers_are_the_same_weights_at_several_places(kind: str, sharing: str) -> None:
    """A network without sharing whose layers are copies gives the same result."""
    depth = {"num_pair_layers": 3, "num_structure_layers": 3}
    shared, whole = denoiser(kind, layer_sharing=sharing, **depth), denoiser(kind, **depth)
    weights = dict(shared.state_dict())
    for stack in ("pair_transform_net", "structure_net"):
        for place, index in reversed(list(enumerate(layer_order(sharing, 3)))):
            prefix = f"{stack}.net.{index}."
            for name, value in shared.state_dict().items():
                if name.startswith(prefix):
                    weights[f"{stack}.net.{place}.{name.removeprefix(prefix)}"] = value
    whole.load_state_dict(weights)
    assert torch.equal(run(shared, chains()), run(whole, chains()))


@pytest.mark.parametrize(
    ("sharing", "layers"), [("none", 6), ("universal", 1), ("alternating", 2), ("block(4)", 2)]
)
def test_sharing_divides_the_parameters_of_both_stacks(sharing: str, layers: int) -> None:
    depth = {"num_pair_layers": 6, "num_structure_layers": 6}
    net = denoiser(layer_sharing=sharing, **depth)
    one = denoiser(num_pair_layers=1, num_structure_layers=1)
    for stack in ("pair_transform_net", "structure_net"):
        assert count(getattr(net, stack)) == layers * count(getattr(one, stack))


def test_defaults_are_the_published_network() -> None:
    """4,087,574 parameters, and names without a trace of the other choices."""
    with torch.device("meta"):
        net = GenieDenoiser(GenieConfig(), num_timesteps=1000)
    assert count(net) == 4_087_574
    assert not any("connections" in name for name, _ in net.named_parameters())
    assert any(name.startswith("pair_transform_net.net.4.") for name, _ in net.named_parameters())


@pytest.mark.parametrize("transition", ["bottleneck", "depthwise"])
@KINDS
@torch.no_grad()
def test_transitions_are_smaller_and_ignore_padding(kind: str, transition: str) -> None:
    if kind == "sparse" and transition == "depthwise":
        with pytest.raises(ValueError, match="depthwise needs pairs on a grid"):
            settings(kind, transition=transition)
        return
    net, ca = denoiser(kind, transition=transition), chains()
    assert count(net) < count(denoiser(kind))
    assert not torch.allclose(run(net, ca), run(denoiser(kind), ca))
    moved = run(net, torch.nn.functional.pad(ca, (0, 0, 0, 3)), lengths_mask([12, 9], 15))
    torch.testing.assert_close(moved[:, :12][MASK], run(net, ca)[MASK])


@KINDS
def test_every_parameter_of_a_bottleneck_learns(kind: str) -> None:
    net = denoiser(kind, transition="bottleneck")
    run(net, chains()).square().sum().backward()
    assert not {n for n, p in net.named_parameters() if p.grad is None or not p.grad.any()}


def test_read_from_yaml(tmp_path: Path) -> None:
    path = tmp_path / "genie.yaml"
    path.write_text("residual_streams: 4\nlayer_sharing: block(2)\ntransition: bottleneck\n")
    config = load_config(GenieConfig, path, ["sinkhorn_iterations=7"])
    assert (config.residual_streams, config.sinkhorn_iterations) == (4, 7)
    assert config.layer_sharing == "block(2)"
    net = GenieDenoiser(config.model_copy(update=SIZES), num_timesteps=10)
    assert net.structure_net.connections[0].iterations == 7
    with pytest.raises(InputError, match="layer sharing is 'sometimes'; expected none, universal"):
        load_config(GenieConfig, path, ["layer_sharing=sometimes"])
