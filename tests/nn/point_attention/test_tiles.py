"""Tiles give the numbers of the whole, forward and backward, wherever their borders fall."""

import dataclasses

import pytest
import torch

from foldwright.nn.point_attention import attend, tiles
from tests.nn.point_attention.test_back_ends import check, factors, leaves, scalar, terms
from tests.nn.random_blocks import normal


@pytest.fixture(params=[(2, 3), (3, 2), (1, 7), (7, 1)])
def small_tiles(request, monkeypatch) -> None:
    rows, keys = request.param
    monkeypatch.setattr(tiles, "_ROWS", rows)
    monkeypatch.setattr(tiles, "_KEYS", keys)


@pytest.mark.parametrize("rank", [0, 1, 2, 16])
@pytest.mark.usefixtures("small_tiles")
def test_many_tiles_are_the_reference(rank: int) -> None:
    check(terms(factors(rank) if rank else None), "tiles", 1e-12)


@pytest.mark.usefixtures("small_tiles")
def test_holes_in_the_mask_and_a_first_tile_without_a_real_key() -> None:
    mask = torch.tensor(
        [[False, False, False, False, True, True, True], [True, False] * 3 + [True]]
    )
    t = terms(factors(2))
    check(dataclasses.replace(t, mask=mask, query_mask=mask), "tiles", 1e-12)
    check(dataclasses.replace(t, mask=mask, query_mask=~mask), "tiles", 1e-12)


def test_large_logits_before_and_after_small_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """The running maximum rises, falls and rises by more than any exponent holds."""
    monkeypatch.setattr(tiles, "_KEYS", 2)
    steps = torch.tensor([0.0, 400.0, 900.0, -900.0, 900.5, 0.0, 300.0])[:, None]
    t = terms(factors(2))
    key = t.key.detach() + steps * torch.sign(t.query.detach().mean(2, keepdim=True))
    check(dataclasses.replace(t, key=key.requires_grad_()), "tiles", 1e-11)


@pytest.mark.parametrize("rank", [2, 16])
def test_keys_so_far_away_that_their_weight_underflows(rank: int) -> None:
    """Half of the residues 40 Å from the others: logits a thousand apart."""
    t = terms(factors(rank))
    away = torch.tensor([0.0, 40.0, 0.0, 40.0, 40.0, 0.0, 40.0])[:, None, None]
    moved = {
        name: (getattr(t, name).detach() + away).requires_grad_()
        for name in ("query_points", "key_points")
    }
    check(dataclasses.replace(t, **moved), "tiles", 1e-9)


def test_padding_is_no_work() -> None:
    """Operands beyond the last real place are never read: they may be anything."""
    t = terms(factors(2))
    broken = {"query": float("nan"), "value": float("inf")}
    for name, value in broken.items():
        tensor = getattr(t, name).detach().clone()
        tensor[1, :, 5:] = value
        found = attend(dataclasses.replace(t, **{name: tensor}), backend="tiles").scalars
        expected = attend(t, backend="tiles").scalars
        assert torch.equal(found[1, :, :5], expected[1, :, :5])


def test_no_pairs_no_chain_and_no_keys() -> None:
    t = terms(factors(2))
    nothing = torch.zeros_like(t.mask)
    out = attend(dataclasses.replace(t, mask=nothing), backend="tiles")
    gradients = torch.autograd.grad(scalar(out), leaves(t), allow_unused=True)
    assert all(g is None or g.abs().max() == 0 for g in gradients)


def test_repeats_exactly() -> None:
    t = terms(factors(2, torch.float32), torch.float32)
    runs = [torch.autograd.grad(scalar(attend(t, backend="tiles")), leaves(t)) for _ in range(2)]
    assert all(torch.equal(one, two) for one, two in zip(*runs, strict=True))


def test_gradients_by_differences(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiles, "_ROWS", 3)
    monkeypatch.setattr(tiles, "_KEYS", 4)
    t = terms(factors(2))
    names = ["query", "key", "value", "query_points", "key_points", "value_points", "point_weight"]
    weight = normal(2).abs().requires_grad_()
    inputs = [*leaves(t)[:6], weight]

    def run(*parts: torch.Tensor) -> torch.Tensor:
        changed = dataclasses.replace(t, **dict(zip(names, parts, strict=True)))
        return scalar(attend(changed, backend="tiles"))

    assert torch.autograd.gradcheck(run, inputs, fast_mode=True)
