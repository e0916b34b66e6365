"""The chunked pair operations equal the plain ones, forward and backward."""

from pathlib import Path

import pytest
import torch
from torch import nn

from foldwright.nn import row_chunks
from foldwright.nn.dropout import AxisDropout
from foldwright.nn.transition import PairTransition
from foldwright.nn.triangle import TriangleMultiplication
from tests.golden_numbers import assert_close, load_golden

MODULES = [
    pytest.param(lambda: TriangleMultiplication(22, 16, direction="outgoing"), id="outgoing"),
    pytest.param(lambda: TriangleMultiplication(22, 16, direction="incoming"), id="incoming"),
    pytest.param(lambda: PairTransition(22, 3), id="transition"),
]


@pytest.fixture(params=[0, 2**40], ids=["recompute", "keep"])
def _always_chunked(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small tensors go through the chunked form, several chunks each."""
    monkeypatch.setattr(row_chunks, "_CHUNKED_FROM_BYTES", 0)
    monkeypatch.setattr(row_chunks, "_KEEP_UP_TO_BYTES", request.param)
    monkeypatch.setattr(row_chunks, "_ELEMENTS_PER_CHUNK", 64 * 66)


def _random(module: nn.Module, dtype: torch.dtype) -> nn.Module:
    generator = torch.Generator().manual_seed(1)
    for parameter in module.parameters():
        values = 0.3 * torch.randn(parameter.shape, generator=generator)
        parameter.data = values.to(dtype)
    return module


@pytest.mark.usefixtures("_always_chunked")
@pytest.mark.parametrize("make", MODULES)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-11), (torch.float32, 1e-2)])
def test_equal_to_the_plain_form(make, dtype, tolerance) -> None:
    generator = torch.Generator().manual_seed(0)
    module = _random(make(), dtype)
    z = torch.randn(2, 19, 19, 22, generator=generator).to(dtype).requires_grad_()
    mask = torch.rand(2, 19, 19, generator=generator) > 0.2
    direction = torch.randn(z.shape, generator=generator).to(dtype)
    found = module.residual(z, mask)
    wanted = z + module(z, mask)
    if isinstance(module, PairTransition):
        wanted = wanted * mask[..., None]
    assert_close(found, wanted, tolerance * 1e-2)
    with torch.no_grad():
        assert_close(module.residual(z, mask), wanted, tolerance * 1e-2)
    leaves = [z, *module.parameters()]
    for ours, theirs in zip(
        torch.autograd.grad((found * direction).sum(), leaves),
        torch.autograd.grad((wanted * direction).sum(), leaves),
        strict=True,
    ):
        assert_close(ours, theirs, tolerance)


@pytest.mark.usefixtures("_always_chunked")
@pytest.mark.parametrize("direction", ["outgoing", "incoming"])
@pytest.mark.parametrize("shared_dim", [1, 2])
def test_dropout_takes_part_in_both_directions(direction, shared_dim: int) -> None:
    module = _random(TriangleMultiplication(6, 4, direction=direction), torch.float64)
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(2, 21, 21, 6, generator=generator, dtype=torch.float64).requires_grad_()
    mask = torch.rand(2, 21, 21, generator=generator) > 0.2
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        keep = AxisDropout(0.5, shared_dim=shared_dim).train().draw(z)
    assert keep is not None
    assert set(keep.flatten().tolist()) == {0.0, 2.0}
    found, wanted = module.residual(z, mask, keep), z + keep * module(z, mask)
    assert_close(found, wanted, 1e-12)
    leaves = [z, *module.parameters()]
    for ours, theirs in zip(
        torch.autograd.grad(found.square().sum(), leaves),
        torch.autograd.grad(wanted.square().sum(), leaves),
        strict=True,
    ):
        assert_close(ours, theirs, 1e-10)


def _norm_and_map(dtype: torch.dtype) -> tuple[nn.LayerNorm, nn.Linear]:
    """Biases far larger than the weights."""
    pair = nn.ModuleList([nn.LayerNorm(12), nn.Linear(12, 7)])
    _random(pair, dtype)
    for module in pair:
        module.bias.data *= 20
    norm, linear = pair
    return norm, linear


@pytest.mark.parametrize("offset", [0.0, 100.0])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-4)])
@torch.no_grad()
def test_a_folded_matrix_is_norm_map_and_bias(dtype, tolerance, offset: float) -> None:
    """Also where the mean of the channels is far from zero, down to padding without any spread."""
    norm, linear = _norm_and_map(dtype)
    rows = offset + torch.randn(5, 12, generator=torch.Generator().manual_seed(0)).to(dtype)
    rows[0] = offset
    folded = row_chunks.fold_norm(linear.weight, linear.bias, norm.weight, norm.bias)
    found = row_chunks.normalise_rows(rows, torch.ones_like(norm.weight)).values @ folded.t()
    assert_close(found, linear(norm(rows)), tolerance * float(linear.bias.abs().max()))


def test_gradients_of_a_folded_matrix_are_taken_apart() -> None:
    norm, linear = _norm_and_map(torch.float64)
    generator = torch.Generator().manual_seed(0)
    rows, grad = (torch.randn(9, k, generator=generator, dtype=torch.float64) for k in (12, 7))
    normed = row_chunks.normalise_rows(rows, torch.ones_like(norm.weight)).values
    found = row_chunks.unfold_norm(grad.t() @ normed, linear.weight, norm.weight, norm.bias)
    leaves = [linear.weight, linear.bias, norm.weight, norm.bias]
    wanted = torch.autograd.grad((linear(norm(rows)) * grad).sum(), leaves)
    for ours, theirs in zip(found, wanted, strict=True):
        assert_close(ours, theirs, 1e-11)


def test_columns_are_normalised_as_rows_are() -> None:
    generator = torch.Generator().manual_seed(0)
    wide = torch.randn(6, 30, generator=generator, dtype=torch.float64)
    grad = torch.randn(6, 11, generator=generator, dtype=torch.float64)
    by_column = row_chunks.normalise_columns(wide[:, 7:18])
    by_row = row_chunks.normalise_rows(wide[:, 7:18].t().contiguous(), torch.ones(6).double())
    assert_close(by_column.values, by_row.values.t(), 1e-12)
    found = row_chunks.normalise_columns_backward(grad, by_column)
    wanted = row_chunks.normalise_rows_backward(grad.t().contiguous(), by_row)
    assert_close(found, wanted.t(), 1e-12)


def test_chunks_end_with_whole_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_chunks, "_ELEMENTS_PER_CHUNK", 30)

    def ends(pairs: int, whole: int) -> list[int]:
        return [rows.stop for rows in row_chunks.chunk_pairs(pairs, 3, whole)]

    assert ends(25, 1) == [10, 20, 25]
    assert ends(16, 4) == [8, 16]
    assert ends(36, 12) == [12, 24, 36]


@pytest.mark.usefixtures("_always_chunked")
@pytest.mark.parametrize("direction", ["outgoing", "incoming"])
def test_equal_to_the_original_program(shared_golden: Path, direction) -> None:
    name = {"outgoing": "out", "incoming": "in"}[direction]
    golden = load_golden(shared_golden, f"genie/triangle_mul_{name}")
    sizes = golden.config["c_z"], golden.config["c_hidden"]
    module = golden.load_into(TriangleMultiplication(*sizes, direction=direction))
    z = golden.input("z").requires_grad_()
    update = module.residual(z, golden.mask()) - z
    assert_close(update, golden.result("z"), 1e-9, golden.mask())
    (gradient,) = torch.autograd.grad((golden.tensor("cot.z") * update).sum(), z)
    assert_close(gradient, torch.from_numpy(golden.arrays["grad64.z"]), 1e-9)


@pytest.mark.usefixtures("_always_chunked")
def test_frozen_weights_and_input_without_gradient() -> None:
    module = _random(PairTransition(8, 2), torch.float32)
    mask = torch.ones(1, 9, 9, dtype=torch.bool)
    module.residual(torch.randn(1, 9, 9, 8), mask).sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in module.parameters())


def test_small_tensors_and_autocast_take_the_plain_form() -> None:
    assert not row_chunks.chunks_help(torch.zeros(1, 8, 8, 4))
    large = torch.zeros(1, 128, 128, 128)
    assert row_chunks.chunks_help(large)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert not row_chunks.chunks_help(large)
