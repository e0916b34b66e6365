"""The denoiser turns and moves with its input, and each chain is on its own."""

from typing import Any

import pytest
import torch
from torch import Tensor

from foldwright.geometry.frenet import frenet_frames
from foldwright.geometry.rigid import Rigid
from foldwright.models.backbone.network import BackboneUpdate, GenieDenoiser
from foldwright.models.backbone.recomputation import layers_to_recompute
from tests.geometry.rotations import MIRROR, random_rotations
from tests.golden_numbers import assert_close
from tests.models.backbone.small_models import helix, small_model, walks
from tests.nn.random_blocks import lengths_mask, normal, with_random_weights

LENGTHS = [10, 7, 4]
MASK = lengths_mask(LENGTHS, 10)
TIMES = torch.tensor([5, 60, 99])
TEMPLATES = ["distance", "geometry"]


def network(**settings: Any) -> GenieDenoiser:
    return small_model(**settings).network


def chains(dtype: torch.dtype = torch.float64) -> Tensor:
    return (torch.stack(walks([10, 10, 10])) * MASK[..., None]).to(dtype)


def run(net: GenieDenoiser, ca: Tensor, mask: Tensor = MASK, times: Tensor = TIMES) -> Rigid:
    moved: Rigid = net(Rigid(frenet_frames(ca, mask), ca), times, mask)
    return moved


@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-7), (torch.float32, 2e-3)])
@torch.no_grad()
def test_output_turns_and_moves_with_the_input(dtype, tolerance, template) -> None:
    net, ca = network(template=template, dtype=dtype), chains(dtype)
    turn = random_rotations(dtype=dtype)
    shift = torch.tensor([30.0, -10.0, 5.0], dtype=dtype)
    here, there = run(net, ca), run(net, ca @ turn.T + shift)
    assert (here.trans - ca)[MASK].abs().max() > 0.1
    assert_close(there.trans, here.trans @ turn.T + shift, tolerance, MASK)
    assert_close(there.rots, turn @ here.rots, tolerance, MASK)


@pytest.mark.parametrize("template", TEMPLATES)
@torch.no_grad()
def test_mirror_image_gives_another_result(template: str) -> None:
    net, ca = network(template=template), chains()
    here, mirrored = run(net, ca), run(net, ca @ MIRROR)
    assert (mirrored.trans - here.trans @ MIRROR)[MASK].abs().max() > 1e-2


@pytest.mark.parametrize("template", TEMPLATES)
@torch.no_grad()
def test_padding_and_company_change_nothing(template: str) -> None:
    """A batch of three, each chain alone, and the batch with more padding."""
    net, ca = network(template=template), chains()
    together = run(net, ca)
    wide = torch.nn.functional.pad(ca, (0, 0, 0, 6))
    padded = run(net, wide, lengths_mask(LENGTHS, 16))
    assert_close(padded.trans[:, :10], together.trans, 1e-8, MASK)
    for row, n in enumerate(LENGTHS):
        mask = torch.ones(1, n, dtype=torch.bool)
        alone = run(net, ca[row : row + 1, :n], mask, TIMES[row : row + 1])
        assert_close(together.trans[row : row + 1, :n], alone.trans, 1e-8)
        assert_close(together.rots[row : row + 1, :n], alone.rots, 1e-8)


@torch.no_grad()
def test_order_in_the_batch_does_not_matter() -> None:
    net, ca, order = network(), chains(), [2, 0, 1]
    shuffled = run(net, ca[order], MASK[order], TIMES[order])
    assert_close(shuffled.trans, run(net, ca).trans[order], 1e-10)


@torch.no_grad()
def test_time_and_place_matter() -> None:
    net, ca = network(), chains()
    here = run(net, ca).trans
    later = run(net, ca, times=TIMES - 1).trans
    assert ((later - here).abs().amax((1, 2)) > 1e-3).all()
    backwards = run(net, ca[:1].flip(1), MASK[:1], TIMES[:1]).trans.flip(1)
    assert (backwards - here[:1]).abs().max() > 1e-2


@pytest.mark.parametrize("pairs", [{}, {"num_pair_layers": 0}])
def test_chain_of_padding_alone_is_finite(pairs: dict[str, Any]) -> None:
    net, ca = network(**pairs), chains().requires_grad_()
    mask = MASK.clone()
    mask[1] = False
    moved = run(net, ca, mask)
    assert torch.isfinite(moved.trans).all()
    moved.trans[mask].square().sum().backward()
    assert torch.isfinite(ca.grad).all()
    gradients = [p.grad for p in net.parameters() if p.grad is not None]
    assert all(torch.isfinite(gradient).all() for gradient in gradients)


@pytest.mark.parametrize("shape", ["straight", "coincident", "one place"])
@pytest.mark.parametrize("template", TEMPLATES)
def test_gradients_are_finite_where_frames_are_not_defined(template: str, shape: str) -> None:
    line = torch.zeros(1, 10, 3, dtype=torch.float64)
    if shape != "one place":
        line[0, :, 0] = 3.8 * torch.arange(10)
    if shape == "coincident":
        line[0, 3:6] = helix(10)[3]
    line.requires_grad_()
    net = network(template=template)
    moved = run(net, line, MASK[:1], TIMES[:1])
    moved.trans.square().sum().backward()
    assert torch.isfinite(moved.rots).all()
    assert torch.isfinite(line.grad).all()
    assert all(torch.isfinite(p.grad).all() for p in net.parameters() if p.grad is not None)


def test_recomputing_the_pair_stack_changes_neither_result_nor_gradients() -> None:
    """Also with dropout, whose draws must be the same the second time."""
    results, gradients = [], []
    for again in (False, True):
        net, ca = network(checkpoint_pairs=again, num_pair_layers=2), chains().requires_grad_()
        net.train()
        torch.manual_seed(0)
        total = run(net, ca).trans[MASK].square().sum()
        results.append(total.detach())
        gradients.append(torch.autograd.grad(total, [ca, *net.parameters()], allow_unused=True))
    assert torch.equal(*results)
    for found, expected in zip(*gradients, strict=True):
        if expected is not None:
            assert_close(found, expected, 1e-9)


@pytest.mark.parametrize("streams", [1, 2])
def test_as_many_pair_layers_are_recomputed_as_the_free_memory_asks_for(
    monkeypatch, streams: int
) -> None:
    net = network(num_pair_layers=4, residual_streams=streams)
    calls: list[int] = []
    for place, layer in enumerate(net.pair_transform_net.net):
        layer.register_forward_pre_hook(lambda *_, place=place: calls.append(place))
    sizes: dict[str, int] = {}

    def decide(num_layers: int, **given: int) -> int:
        sizes.update(given)
        return layers_to_recompute(num_layers, **given)

    stack = "foldwright.models.backbone.pair_stack"
    monkeypatch.setattr(f"{stack}.layers_to_recompute", decide)
    gradients, recomputed = [], []
    for memory in ("plenty", "two layers and what they work in", "nothing"):
        free = {"plenty": 10**12, "nothing": 0}.get(memory)
        if free is None:
            free = int((4 * sizes["kept"] + sizes["between"]) / 0.8) + 1
        monkeypatch.setattr(f"{stack}.available_memory", lambda _, free=free: free)
        calls.clear()
        net.zero_grad()
        run(net, chains()).trans.sum().backward()
        recomputed.append(sorted(calls[4:]))
        gradients.append([p.grad for p in net.parameters()])
    assert recomputed == [[], [1], [1, 2, 3]], "the first is measured, the last are freed first"
    for other in gradients[1:]:
        for one, two in zip(gradients[0], other, strict=True):
            assert (one is None and two is None) or torch.equal(one, two)
    calls.clear()
    with torch.no_grad():
        run(net, chains())
    assert calls == [0, 1, 2, 3]


@torch.no_grad()
def test_more_blocks_pass_through_the_same_layers() -> None:
    once, twice = network(), network(num_structure_blocks=2)
    names = [name for name, _ in once.named_parameters()]
    assert names == [name for name, _ in twice.named_parameters()]
    assert (run(once, chains()).trans - run(twice, chains()).trans)[MASK].abs().max() > 0.1


@torch.no_grad()
def test_fresh_network_leaves_the_chain_where_it_is() -> None:
    model = small_model()
    fresh = GenieDenoiser(model.genie, num_timesteps=100).double().eval()
    moved = run(fresh, chains())
    assert_close(moved.trans, chains(), 1e-12)
    assert_close(moved.rots, frenet_frames(chains(), MASK), 1e-12)


@torch.no_grad()
def test_frame_update_is_a_proper_rotation_of_less_than_half_a_turn() -> None:
    update = with_random_weights(BackboneUpdate(6))(5 * normal(2, 9, 6))
    assert_close(update.rots.mT @ update.rots, torch.eye(3).expand(2, 9, 3, 3), 1e-12)
    assert_close(torch.linalg.det(update.rots), torch.ones(2, 9), 1e-12)
    trace = update.rots.diagonal(dim1=-2, dim2=-1).sum(-1)
    assert (trace > -1).all()


@torch.no_grad()
def test_low_precision_keeps_geometry_in_float32() -> None:
    net, ca = network(dtype=torch.float32), chains(torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        moved = run(net, ca)
    assert moved.trans.dtype == moved.rots.dtype == torch.float32
    assert_close(moved.rots.mT @ moved.rots, torch.eye(3).expand(3, 10, 3, 3), 1e-4, MASK)
