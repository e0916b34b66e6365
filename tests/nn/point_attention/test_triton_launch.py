"""The Triton kernels give the numbers of the reference, in the interpreter and without a GPU."""

import dataclasses
import importlib.util
import sys

import pytest
import torch

from foldwright.nn.point_attention import attend, triton_launch
from foldwright.nn.point_attention.terms import FactorTerms, PointAttentionTerms
from tests.nn.point_attention.test_back_ends import check, factors, leaves, scalar, terms
from tests.nn.random_blocks import normal

KERNELS = "foldwright.nn.point_attention.kernels"
SINGLE = torch.float32

needs_triton = pytest.mark.skipif(
    importlib.util.find_spec("triton") is None,
    reason="no triton: `pip install --no-deps triton` lets its interpreter run without a GPU",
)


@pytest.fixture
def interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Import the kernels for the interpreter, with tiles that a small case fills several of."""
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    known = sys.modules.get(KERNELS)
    if known is None or not known.interpreted():
        monkeypatch.delitem(sys.modules, KERNELS, raising=False)
    monkeypatch.setattr(triton_launch, "_NARROW_TILE", (16, 16, 1))


def longer(n: int, rank: int, *, width: int = 3) -> PointAttentionTerms:
    """One chain of n residues and one of half the length; widths are odd."""

    def leaf(*shape: int, seed: int) -> torch.Tensor:
        return normal(*shape, seed=seed, dtype=SINGLE).requires_grad_()

    mask = torch.arange(n) < torch.tensor([n, n // 2])[:, None]
    pair = None
    if rank:
        shapes = [(2, 1, n, rank)] * 2 + [(2, n, rank, 5)] * 2
        pair = FactorTerms(*(leaf(*s, seed=9 + i) for i, s in enumerate(shapes)))
    return PointAttentionTerms(
        query=leaf(2, 1, n, width, seed=1),
        key=leaf(2, 1, n, width, seed=2),
        value=leaf(2, 1, n, 7, seed=3),
        query_points=leaf(2, 1, n, 1, 3, seed=4),
        key_points=leaf(2, 1, n, 1, 3, seed=5),
        value_points=leaf(2, 1, n, 7, 3, seed=6),
        point_weight=normal(1, seed=7, dtype=SINGLE).abs().requires_grad_(),
        mask=mask,
        query_mask=mask,
        pair=pair,
    )


@needs_triton
@pytest.mark.usefixtures("interpreter")
@pytest.mark.parametrize("rank", [0, 2, 16])
def test_any_rank_forward_and_backward(rank: int) -> None:
    check(terms(factors(rank, SINGLE) if rank else None, SINGLE), "triton", 5e-6)


@needs_triton
@pytest.mark.usefixtures("interpreter")
def test_several_tiles_odd_sizes_and_a_masked_tail() -> None:
    check(longer(35, 1), "triton", 5e-6)


@needs_triton
@pytest.mark.usefixtures("interpreter")
def test_widths_beyond_one_block(monkeypatch: pytest.MonkeyPatch) -> None:
    """Features of 19, values of 7 and 21, and factors of 15 columns, in blocks of 16."""
    monkeypatch.setattr(triton_launch, "_MOST_COLUMNS", 16)
    check(longer(6, 3, width=19), "triton", 1e-5)


@needs_triton
@pytest.mark.usefixtures("interpreter")
def test_holes_in_the_mask_and_an_empty_chain() -> None:
    t = terms(factors(2, SINGLE), SINGLE)
    mask = torch.tensor([[False, True, True, False, True, True, False], [False] * 7])
    t = dataclasses.replace(t, mask=mask, query_mask=~mask)
    check(t, "triton", 5e-6)
    out = attend(t, backend="triton")
    assert out.scalars[1].abs().max() == 0


@needs_triton
@pytest.mark.usefixtures("interpreter")
def test_padded_tiles_are_not_visited() -> None:
    """Rubbish in a tile of padding alone reaches no result and no gradient."""
    t = longer(35, 1)
    assert isinstance(t.pair, FactorTerms)
    spoilt = t.pair.right_values.detach().clone()
    spoilt[1, 32:] = float("nan")
    pair = dataclasses.replace(t.pair, right_values=spoilt.requires_grad_())
    t = dataclasses.replace(t, pair=pair)
    gradients = torch.autograd.grad(scalar(attend(t, backend="triton")), leaves(t))
    assert all(torch.isfinite(gradient).all() for gradient in gradients)


@needs_triton
@pytest.mark.usefixtures("interpreter")
def test_double_precision_is_refused() -> None:
    with pytest.raises(ValueError, match="computes in float32, got float64"):
        attend(terms(None), backend="triton")


@needs_triton
def test_a_cpu_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    monkeypatch.delitem(sys.modules, KERNELS, raising=False)
    with pytest.raises(ValueError, match="needs a CUDA device, got cpu: use 'auto', 'tiles'"):
        attend(terms(None, SINGLE), backend="triton")
    monkeypatch.delitem(sys.modules, KERNELS)


def test_without_triton_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, KERNELS, raising=False)
    monkeypatch.setitem(sys.modules, "triton", None)
    with pytest.raises(ModuleNotFoundError, match="comes with PyTorch for CUDA: install it"):
        attend(terms(None, SINGLE), backend="triton")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("rank", [0, 2, 16])
def test_on_a_gpu(rank: int) -> None:
    def there(tensor: torch.Tensor) -> torch.Tensor:
        return tensor.detach().cuda().requires_grad_(tensor.requires_grad)

    t = longer(150, rank)
    found = {f.name: getattr(t, f.name) for f in dataclasses.fields(t)}
    moved = {name: there(v) for name, v in found.items() if isinstance(v, torch.Tensor)}
    if isinstance(t.pair, FactorTerms):
        fields = dataclasses.fields(t.pair)
        moved["pair"] = FactorTerms(**{f.name: there(getattr(t.pair, f.name)) for f in fields})
    check(dataclasses.replace(t, **moved), "triton", 1e-4)
