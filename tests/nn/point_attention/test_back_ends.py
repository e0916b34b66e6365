"""Every back end of point attention gives the numbers of the reference."""

import dataclasses
import math

import pytest
import torch
from torch import Tensor

from foldwright.nn.point_attention import attend, lifted
from foldwright.nn.point_attention.choice import PointBackend
from foldwright.nn.point_attention.terms import (
    Attended,
    DenseTerms,
    FactorTerms,
    NeighbourTerms,
    PairTerms,
    PointAttentionTerms,
)
from tests.nn.random_blocks import normal

B, H, N, C, P, V, D = 2, 2, 7, 3, 2, 3, 4


def terms(pair: PairTerms | None, dtype: torch.dtype = torch.float64) -> PointAttentionTerms:
    def leaf(*shape: int, seed: int) -> Tensor:
        return normal(*shape, seed=seed, dtype=dtype).requires_grad_()

    mask = torch.ones(B, N, dtype=torch.bool)
    mask[1, 5:] = False
    return PointAttentionTerms(
        query=leaf(B, H, N, C, seed=1),
        key=leaf(B, H, N, C, seed=2),
        value=leaf(B, H, N, C, seed=3),
        query_points=leaf(B, H, N, P, 3, seed=4),
        key_points=leaf(B, H, N, P, 3, seed=5),
        value_points=leaf(B, H, N, V, 3, seed=6),
        point_weight=torch.tensor([0.3, 0.8], dtype=dtype),
        mask=mask,
        query_mask=mask,
        pair=pair,
    )


def factors(rank: int, dtype: torch.dtype = torch.float64) -> FactorTerms:
    shapes = [(B, H, N, rank), (B, H, N, rank), (B, N, rank, D), (B, N, rank, D)]
    parts = [normal(*s, seed=10 + i, dtype=dtype) / rank**0.5 for i, s in enumerate(shapes)]
    return FactorTerms(*(part.requires_grad_() for part in parts))


def neighbours() -> NeighbourTerms:
    index = torch.stack([torch.randperm(N, generator=torch.manual_seed(i))[:4] for i in range(14)])
    present = torch.ones(B, N, 4, dtype=torch.bool)
    present[0, 2, 1:] = False
    present[0, 3] = False
    return NeighbourTerms(
        index.view(B, N, 4),
        present,
        normal(B, H, N, 4, seed=20).requires_grad_(),
        normal(B, N, 4, D, seed=21).requires_grad_(),
    )


def leaves(t: PointAttentionTerms) -> list[Tensor]:
    parts = [getattr(t, f.name) for f in dataclasses.fields(t)]
    if t.pair is not None:
        parts += [getattr(t.pair, f.name) for f in dataclasses.fields(t.pair)]
    return [p for p in parts if isinstance(p, Tensor) and p.requires_grad]


def scalar(out: Attended) -> Tensor:
    """One number in which every output counts."""
    parts = [p for p in (out.scalars, out.points, out.pairs) if p is not None]
    return torch.stack([(p * normal(*p.shape, seed=30).to(p)).sum() for p in parts]).sum()


def check(t: PointAttentionTerms, backend: PointBackend, tolerance: float) -> None:
    found, expected = attend(t, backend=backend), attend(t, backend="reference")
    for name in ("scalars", "points", "pairs"):
        one, two = getattr(found, name), getattr(expected, name)
        assert (one is None) == (two is None)
        if one is not None:
            assert (one - two).abs().max().item() <= tolerance
    ours = torch.autograd.grad(scalar(found), leaves(t))
    theirs = torch.autograd.grad(scalar(expected), leaves(t))
    for one, two in zip(ours, theirs, strict=True):
        assert (one - two).abs().max().item() <= 10 * tolerance


EXACT = pytest.mark.parametrize("backend", ["dense", "sdpa", "tiles"])


@pytest.mark.parametrize("rank", [2, 8, 9, 16])
@pytest.mark.parametrize("most", [0, 10**9])
def test_both_ways_of_plain_products(rank: int, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lifted, "_MOST_PAIR_NUMBERS", most)
    check(terms(factors(rank)), "dense", 1e-12)


@EXACT
@pytest.mark.parametrize("rank", [1, 2, 16, 32])
def test_lifted_form_is_exact_for_any_rank(rank: int, backend: PointBackend) -> None:
    check(terms(factors(rank)), backend, 1e-12)
    single = torch.float32
    check(terms(factors(rank, single), single), backend, 5e-6)


@EXACT
def test_lifted_form_without_pairs(backend: PointBackend) -> None:
    check(terms(None), backend, 1e-12)


def test_dense_pairs_by_products() -> None:
    bias = normal(B, H, N, N).requires_grad_()
    check(terms(DenseTerms(bias, normal(B, N, N, D).requires_grad_())), "dense", 1e-12)


def test_neighbour_lists_match_the_dense_evaluation_of_the_same_lists() -> None:
    check(terms(neighbours()), "gather", 1e-12)


@pytest.mark.parametrize("pair", [None, "factors", "neighbours"])
def test_padded_keys_are_not_seen_and_an_empty_chain_gives_zero(pair: str | None) -> None:
    kinds: dict[str | None, PairTerms | None] = {
        None: None,
        "factors": factors(2),
        "neighbours": neighbours(),
    }
    t = terms(kinds[pair])
    moved = t.value.detach().clone()
    moved[1, :, 5:] = 1e6
    changed = dataclasses.replace(t, value=moved)
    torch.testing.assert_close(attend(changed).scalars[1, :, :5], attend(t).scalars[1, :, :5])
    empty = attend(dataclasses.replace(t, mask=torch.zeros_like(t.mask)))
    assert empty.scalars.abs().max() == empty.points.abs().max() == 0


def test_residue_without_neighbours_gives_zero() -> None:
    out = attend(terms(neighbours()))
    assert out.scalars[0, :, 3].abs().max() == 0
    # one neighbour only: its value, whatever the logit
    t = terms(neighbours())
    assert isinstance(t.pair, NeighbourTerms)
    only = int(t.pair.index[0, 2, 0])
    torch.testing.assert_close(out.scalars[0, :, 2], t.value[0, :, only])


def test_gradients_of_the_lifted_form_by_differences() -> None:
    t = terms(factors(2))
    inputs = leaves(t)[:6]
    names = ["query", "key", "value", "query_points", "key_points", "value_points"]

    def run(*parts: Tensor) -> Tensor:
        return scalar(attend(dataclasses.replace(t, **dict(zip(names, parts, strict=True)))))

    assert torch.autograd.gradcheck(run, inputs, fast_mode=True)


def test_a_back_end_that_cannot_do_it_says_why() -> None:
    dense = DenseTerms(normal(B, H, N, N), normal(B, N, N, D))
    with pytest.raises(ValueError, match=r"width c \+ 3p \+ 1 \+ rank.*got DenseTerms"):
        attend(terms(dense), backend="sdpa")
    with pytest.raises(ValueError, match=r"needs neighbour lists.*got FactorTerms"):
        attend(terms(factors(2)), backend="gather")


def logit_error(radius_nm: float, origin_nm: float) -> float:
    """Largest change of an attention weight in float32, against float64."""
    points = normal(1, 1, 64, 4, 3, seed=3) * 0.2 + normal(1, 1, 64, 1, 3, seed=4) * radius_nm / 2
    points = points + origin_nm
    t = PointAttentionTerms(
        query=torch.zeros(1, 1, 64, 1).double(),
        key=torch.zeros(1, 1, 64, 1).double(),
        value=torch.eye(64).double()[None, None, :, :1].contiguous(),
        query_points=points,
        key_points=points,
        value_points=points[:, :, :, :1].contiguous(),
        point_weight=torch.tensor([math.sqrt(1 / 54)]).double(),
        mask=torch.ones(1, 64, dtype=torch.bool),
        query_mask=torch.ones(1, 64, dtype=torch.bool),
        pair=None,
    )
    single = dataclasses.replace(
        t,
        **{
            f.name: getattr(t, f.name).float()
            for f in dataclasses.fields(t)
            if f.name not in ("mask", "query_mask", "pair")
        },
    )
    truth = attend(t, backend="reference").scalars
    return (attend(single, backend="sdpa").scalars - truth).abs().max().item()


def test_large_chains_keep_their_digits_about_the_centroid() -> None:
    assert logit_error(1.0, 0.0) < 2e-6
    assert logit_error(10.0, 0.0) < 2e-5
    # which is why the layer subtracts the centroid
    assert logit_error(1.0, 1000.0) > 1e-4
