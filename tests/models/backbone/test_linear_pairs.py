"""The denoiser with factorised and sparse pairs: invariances, memory, agreement with dense."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from foldwright.geometry.frenet import frenet_frames
from foldwright.geometry.rigid import Rigid
from foldwright.models.backbone.config import GenieConfig
from foldwright.models.backbone.dense_pairs import PairTransformLayer
from foldwright.models.backbone.features import PairFeatureNet
from foldwright.models.backbone.linear_pairs import (
    FactorizedTransformLayer,
    SparsePairFeatureNet,
    SparseTransformLayer,
)
from foldwright.models.backbone.network import GenieDenoiser
from foldwright.nn import (
    factor_attention,
    neighbours,
    residue_chunks,
)
from foldwright.nn.pair import FactorizedPair
from foldwright.nn.pair_point_attention import PairPointAttention
from foldwright.nn.point_attention import choice, tiles
from tests.models.backbone.small_models import SIZES, walks
from tests.nn.random_blocks import normal, with_random_weights
from tests.nn.sparse_pairs import at_lists, pair_at

KINDS = pytest.mark.parametrize("kind", ["factorized", "sparse"])
ATTENTIONS = pytest.mark.parametrize("attention", [False, True, "axial"])
LAYERS: list[tuple[str, dict[str, Any]]] = [
    ("factorized", {}),
    ("factorized", {"triangle_attention": True, "pair_recompression": "truncated"}),
    ("sparse", {"triangle_attention": True}),
]
VARIANTS = pytest.mark.parametrize(("kind", "more"), LAYERS)


def settings(kind: str, **more: Any) -> GenieConfig:
    linear = {"pair": kind, "pair_rank": 2, "pair_neighbours": 6, "triangle_attention": False}
    return GenieConfig(**SIZES | linear | more)


def denoiser(kind: str, **more: Any) -> GenieDenoiser:
    return with_random_weights(GenieDenoiser(settings(kind, **more), num_timesteps=50))


def frames_of(ca: Tensor, mask: Tensor) -> Rigid:
    return Rigid(frenet_frames(ca, mask), ca)


def run(net: GenieDenoiser, ca: Tensor, mask: Tensor, **more: Any) -> Tensor:
    timestep = torch.full((len(ca),), 7)
    out: Tensor = net(frames_of(ca, mask), timestep, mask, **more).trans
    return out


@KINDS
def test_moves_with_the_chain(kind: str) -> None:
    net = denoiser(kind, template="geometry")
    ca, mask = walks([14])[0][None], torch.ones(1, 14, dtype=torch.bool)
    turn = torch.linalg.qr(normal(3, 3, seed=2))[0]
    turn = turn * torch.linalg.det(turn)
    moved = run(net, ca @ turn.T + 9.0, mask)
    torch.testing.assert_close(moved, run(net, ca, mask) @ turn.T + 9.0, atol=1e-6, rtol=1e-6)


@VARIANTS
def test_padding_changes_nothing(kind: str, more: dict[str, Any]) -> None:
    net = denoiser(kind, self_conditioning=True, **more)
    ca = walks([12])[0][None]
    previous = walks([12], seed=1)[0][None]
    mask = torch.ones(1, 12, dtype=torch.bool)
    short = run(net, ca, mask, previous=previous)
    tail = torch.nn.functional.pad
    padded = run(
        net, tail(ca, (0, 0, 0, 5)), tail(mask, (0, 5)), previous=tail(previous, (0, 0, 0, 5))
    )
    torch.testing.assert_close(padded[:, :12], short)
    assert not torch.allclose(run(net, ca, mask), short)  # the earlier estimate counts


@VARIANTS
def test_every_parameter_learns(kind: str, more: dict[str, Any]) -> None:
    net = denoiser(kind, **more)
    ca, mask = walks([10])[0][None], torch.ones(1, 10, dtype=torch.bool)
    run(net, ca, mask).square().sum().backward()
    still = {
        name
        for name, parameter in net.named_parameters()
        if parameter.grad is None or parameter.grad.abs().max() == 0
    }
    assert not still


@VARIANTS
def test_recomputing_changes_no_gradient(kind: str, more: dict[str, Any]) -> None:
    ca, mask = walks([10])[0][None], torch.ones(1, 10, dtype=torch.bool)
    gradients = []
    for checkpoint_pairs in (False, True):
        net = denoiser(kind, checkpoint_pairs=checkpoint_pairs, **more)
        run(net, ca, mask).square().sum().backward()
        gradients.append([p.grad for p in net.parameters() if p.grad is not None])
    for one, two in zip(*gradients, strict=True):
        torch.testing.assert_close(one, two)


@pytest.mark.parametrize("template", ["distance", "geometry"])
def test_sparse_features_are_the_dense_ones_at_the_neighbours(template: Any) -> None:
    config = settings("sparse", template=template, self_conditioning=True)
    sparse = with_random_weights(SparsePairFeatureNet(config))
    dense = PairFeatureNet(
        config.c_s,
        config.c_p,
        clip=config.relative_position_clip,
        template=template,
        self_conditioning=True,
    ).double()
    dense.load_state_dict(sparse.state_dict())
    mask = torch.arange(9)[None] < 8
    ca, previous = walks([9])[0][None], walks([9], seed=1)[0][None]
    s, frames = normal(1, 9, config.c_s), frames_of(ca, mask)
    pairs = sparse(s, frames, mask, previous)
    whole = dense(s, frames, mask, previous)
    index = pairs.index[..., None].expand_as(pairs.values)
    expected = whole.gather(2, index) * pairs.present[..., None]
    torch.testing.assert_close(pairs.values, expected)


class LargestTensor(TorchDispatchMode):
    """Remembers the largest tensor that any operation returns, backward included."""

    def __init__(self) -> None:
        super().__init__()
        self.elements = 0
        self.operation = ""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(out):
            if isinstance(leaf, Tensor) and leaf.numel() > self.elements:
                self.elements, self.operation = leaf.numel(), str(func)
        return out


def largest_in_a_step(kind: str, n: int, **more: Any) -> tuple[int, str]:
    net = denoiser(kind, max_length=n, **more).float()
    ca, mask = walks([n])[0][None].float(), torch.ones(1, n, dtype=torch.bool)
    with LargestTensor() as largest:
        run(net, ca, mask).square().sum().backward()
    return largest.elements, largest.operation


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("factorized", {}),
        ("factorized", {"pair_recompression": "truncated"}),
        ("sparse", {"triangle_attention": True}),
        ("sparse", {"triangle_attention": "axial"}),
    ],
)
def test_no_tensor_of_all_pairs_in_a_training_step(kind: str, more: dict[str, Any]) -> None:
    n = 768
    elements, operation = largest_in_a_step(kind, n, **more)
    assert elements < n * n, operation


@pytest.mark.parametrize("attention", [True, "axial"])
def test_no_tensor_of_all_pairs_in_attention_on_factors(
    attention: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its time grows with the cube of the length: a shorter chain, and smaller chunks for it."""
    n = 160
    monkeypatch.setattr(factor_attention, "_CHUNK_ELEMENTS", 2**14)
    monkeypatch.setattr(neighbours, "_CHUNK_ELEMENTS", 2**12)
    monkeypatch.setattr(residue_chunks, "_VECTORS_PER_CHUNK", 2**8)
    monkeypatch.setattr(choice, "_crossover", lambda _: 0)
    monkeypatch.setattr(tiles, "_ROWS", 32)
    elements, operation = largest_in_a_step("factorized", n, triangle_attention=attention)
    assert elements < n * n, operation


def test_the_walk_sees_the_pairs_of_the_dense_network() -> None:
    assert largest_in_a_step("dense", 40)[0] >= 40 * 40 * SIZES["c_p"]


def test_representation_picks_the_attention() -> None:
    for kind, expected in (("dense", False), ("factorized", True), ("sparse", True)):
        layer = denoiser(kind).structure_net.net[0]
        assert isinstance(layer.ipa, PairPointAttention) is expected


@ATTENTIONS
def test_full_lists_make_the_sparse_layer_the_dense_one(attention: Any) -> None:
    config = settings("sparse", triangle_attention=attention)
    dense = with_random_weights(PairTransformLayer(config))
    sparse = SparseTransformLayer(config).double().eval()
    weights = {
        name.replace("transition", "pair_transition")
        if name.startswith("transition")
        else name.removeprefix("updates.").replace(".block.", "."): name
        for name in sparse.state_dict()
    }
    assert set(weights) == set(dense.state_dict())
    sparse.load_state_dict({weights[k]: v for k, v in dense.state_dict().items()})
    mask = torch.arange(9)[None] < 7
    real = mask[:, :, None] & mask[:, None]
    z = normal(1, 9, 9, config.c_p) * real[..., None]
    pair = pair_at(z, real)
    torch.testing.assert_close(sparse(pair, mask).values, at_lists(dense(z, mask), pair))


@KINDS
@ATTENTIONS
def test_attention_is_part_of_the_layer(kind: str, attention: Any) -> None:
    ca, mask = walks([12])[0][None], torch.ones(1, 12, dtype=torch.bool)
    without, with_it = denoiser(kind), denoiser(kind, triangle_attention=attention)
    missing = with_it.load_state_dict(without.state_dict(), strict=False).missing_keys
    if attention is False:
        assert not missing
    else:
        assert missing
        assert all("tri_att" in name for name in missing)
        assert not torch.allclose(run(without, ca, mask), run(with_it, ca, mask))


def test_truncated_sums_are_another_model_without_mixes() -> None:
    ca, mask = walks([12])[0][None], torch.ones(1, 12, dtype=torch.bool)
    mixed = denoiser("factorized")
    truncated = denoiser("factorized", pair_recompression="truncated")
    kept = {name: mixed.state_dict()[name] for name in truncated.state_dict()}
    assert set(mixed.state_dict()) - set(kept) != set()
    truncated.load_state_dict(kept)
    assert not torch.allclose(run(mixed, ca, mask), run(truncated, ca, mask))


def test_truncated_layers_add_the_pairs_where_the_rank_suffices() -> None:
    """A layer whose triangles and transition end in zeros leaves the pair as it is."""
    config = settings("factorized", pair_recompression="truncated")
    layer = FactorizedTransformLayer(config).double()
    mask = torch.arange(9)[None] < 7
    z = FactorizedPair(*(normal(1, 9, 2, 10, seed=s) * mask[..., None, None] for s in (1, 2)))
    torch.testing.assert_close(layer.eval()(z, mask).materialise(), z.materialise())


def test_self_conditioning_must_be_built_in() -> None:
    ca, mask = walks([8])[0][None], torch.ones(1, 8, dtype=torch.bool)
    with pytest.raises(ValueError, match="built without self_conditioning"):
        run(denoiser("sparse"), ca, mask, previous=ca)
