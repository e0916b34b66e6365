"""FlashIPA's layer: its numbers, its parameters, its symmetries."""

import itertools
from pathlib import Path

import pytest
import torch
from torch import Tensor

from foldwright.geometry.rigid import Rigid
from foldwright.nn.pair import DensePair, FactorizedPair, PairRepresentation, SparsePair
from foldwright.nn.pair_point_attention import BiasScaling, PairPointAttention
from foldwright.nn.point_attention.choice import PointBackend
from tests.golden_numbers import Golden, assert_close, load_golden
from tests.nn.random_blocks import normal, with_random_weights


def layer_of(golden: Golden) -> PairPointAttention:
    c = golden.config
    layer = PairPointAttention(
        c["c_s"],
        c["c_z"],
        c_hidden=c["c_hidden"],
        num_heads=c["no_heads"],
        num_qk_points=c["no_qk_points"],
        num_v_points=c["no_v_points"],
        bias_scaling="original",
    )
    golden.load_into(layer)
    return layer


@pytest.mark.parametrize(
    ("name", "backend"),
    [
        *itertools.product(["ipa_dense_bias"], ["reference", "auto"]),
        *itertools.product(
            ["ipa_dense_no_bias", "ipa_factored", "ipa_factored_no_bias"],
            ["reference", "auto", "sdpa", "tiles"],
        ),
    ],
)
@pytest.mark.parametrize(
    ("dtype", "tolerance", "grad_tolerance"),
    [(torch.float64, 1e-9, 1e-9), (torch.float32, 1e-5, 2e-5)],
)
def test_numbers_of_flash_ipa(
    shared_golden: Path,
    name: str,
    backend: PointBackend,
    dtype: torch.dtype,
    tolerance: float,
    grad_tolerance: float,
) -> None:
    golden = load_golden(shared_golden, f"flash_ipa/{name}", dtype)
    layer = layer_of(golden)
    inputs = {n: golden.input(n).requires_grad_() for n in golden.names("in.") if n != "node_mask"}
    pair: PairRepresentation | None = None
    if "z" in inputs:
        pair = DensePair(inputs["z"])
    if "z_factor_1" in inputs:
        pair = FactorizedPair(inputs["z_factor_1"], inputs["z_factor_2"])
    mask = golden.input("node_mask") > 0.5
    frames = Rigid(inputs["rots"], inputs["trans"])
    out = layer(inputs["s"], pair, frames, mask, backend=backend)
    assert_close(out, golden.result("s"), tolerance, mask)
    scalar = (out * golden.tensor("cot.s")).sum()
    wrt = [inputs[n] for n in golden.names("grad64.")]
    found = torch.autograd.grad(scalar, wrt, retain_graph=True)
    for n, gradient in zip(golden.names("grad64."), found, strict=True):
        assert_close(gradient, torch.from_numpy(golden.arrays[f"grad64.{n}"]), grad_tolerance)
    weights = dict(layer.named_parameters())
    names = golden.names("gradw64.")
    assert set(names) in (set(), set(weights))
    if not names:
        return
    found = torch.autograd.grad(scalar, [weights[n] for n in names])
    for n, gradient in zip(names, found, strict=True):
        expected = torch.from_numpy(golden.arrays[f"gradw64.{n}"])
        # relative where gradients are large: float32 has no more digits
        assert_close(gradient, expected, grad_tolerance * max(1.0, expected.abs().max().item()))


def small_layer(bias_scaling: BiasScaling = "scaled") -> PairPointAttention:
    layer = PairPointAttention(
        6, 8, c_hidden=4, num_heads=2, num_qk_points=2, num_v_points=3, bias_scaling=bias_scaling
    )
    return with_random_weights(layer)


def some_frames(n: int) -> Rigid:
    rots = torch.linalg.qr(normal(1, n, 3, 3, seed=5))[0]
    return Rigid(rots, normal(1, n, 3, seed=6))


def pairs_of(kind: str, n: int) -> PairRepresentation:
    if kind == "dense":
        return DensePair(normal(1, n, n, 8, seed=7))
    if kind == "factorized":
        return FactorizedPair(normal(1, n, 2, 8, seed=7), normal(1, n, 2, 8, seed=8))
    index = (torch.arange(n)[:, None] + torch.arange(3)) % n
    return SparsePair(
        normal(1, n, 3, 8, seed=7), index[None], torch.ones(1, n, 3, dtype=torch.bool)
    )


KINDS = pytest.mark.parametrize("kind", ["dense", "factorized", "sparse"])


@KINDS
def test_invariant_to_rotation_reflection_and_translation(kind: str) -> None:
    s, frames, mask = normal(1, 6, 6), some_frames(6), torch.ones(1, 6, dtype=torch.bool)
    layer, pair = small_layer(), pairs_of(kind, 6)
    turn = torch.linalg.qr(normal(3, 3, seed=11))[0]
    for motion in (turn, -turn):
        moved = Rigid(motion @ frames.rots, frames.trans @ motion.T + 50.0)
        torch.testing.assert_close(layer(s, pair, moved, mask), layer(s, pair, frames, mask))


@pytest.mark.parametrize("kind", ["factorized", "dense"])
def test_padding_changes_nothing(kind: str) -> None:
    s, frames = normal(1, 8, 6), some_frames(8)
    mask = torch.arange(8)[None] < 5
    pair = pairs_of(kind, 8)
    cut: PairRepresentation
    if isinstance(pair, FactorizedPair):
        cut = FactorizedPair(pair.left[:, :5], pair.right[:, :5])
    else:
        assert isinstance(pair, DensePair)
        cut = DensePair(pair.values[:, :5, :5])
    layer = small_layer()
    short = layer(s[:, :5], cut, Rigid(frames.rots[:, :5], frames.trans[:, :5]), mask[:, :5])
    torch.testing.assert_close(layer(s, pair, frames, mask)[:, :5], short)


def test_all_neighbours_is_the_dense_layer() -> None:
    n = 5
    dense = pairs_of("dense", n)
    assert isinstance(dense, DensePair)
    index = torch.stack([torch.arange(n).roll(-i) for i in range(n)])[None]
    values = dense.values.gather(2, index[..., None].expand(-1, -1, -1, 8))
    sparse = SparsePair(values, index, torch.ones(1, n, n, dtype=torch.bool))
    s, frames, mask = normal(1, n, 6), some_frames(n), torch.ones(1, n, dtype=torch.bool)
    layer = small_layer()
    torch.testing.assert_close(layer(s, sparse, frames, mask), layer(s, dense, frames, mask))


def update(scaling: BiasScaling, kind: str) -> Tensor:
    mask = torch.ones(1, 6, dtype=torch.bool)
    out: Tensor = small_layer(scaling)(normal(1, 6, 6), pairs_of(kind, 6), some_frames(6), mask)
    return out


def test_scalings_of_the_bias_by_name() -> None:
    assert torch.equal(update("original", "dense"), update("scaled", "dense"))
    assert torch.equal(update("original", "factorized"), update("unscaled", "factorized"))
    assert not torch.allclose(update("scaled", "factorized"), update("unscaled", "factorized"))
    assert not torch.allclose(update("scaled", "dense"), update("unscaled", "dense"))


def test_pairs_and_the_layer_must_agree() -> None:
    s, frames, mask = normal(1, 6, 6), some_frames(6), torch.ones(1, 6, dtype=torch.bool)
    with pytest.raises(ValueError, match="needs pairs: build it with c_z=0"):
        small_layer()(s, None, frames, mask)
    bare = PairPointAttention(6, 0, c_hidden=4, num_heads=2, num_qk_points=2, num_v_points=3)
    with pytest.raises(ValueError, match="built with c_z=0 but was given pairs"):
        bare.double()(s, pairs_of("dense", 6), frames, mask)


def test_bfloat16_autocast_is_about_as_good_for_a_large_chain() -> None:
    layer = small_layer().float()
    s, mask = normal(1, 24, 6).float(), torch.ones(1, 24, dtype=torch.bool)
    pair = FactorizedPair(normal(1, 24, 2, 8).float(), normal(1, 24, 2, 8, seed=8).float())
    frames = some_frames(24)
    errors = []
    for radius in (1.0, 10.0):  # nm
        placed = Rigid(frames.rots.float(), (frames.trans * radius).float())
        exact = layer(s, pair, placed, mask)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            rough = layer(s, pair, placed, mask).float()
        errors.append(((rough - exact).norm() / exact.norm()).item())
    assert errors[0] < 0.03
    assert errors[1] < 2 * errors[0]
