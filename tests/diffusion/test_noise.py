"""Noise that belongs to its item."""

import pytest
import torch

from foldwright.diffusion.noise import ItemNoise


def generators(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def test_numbers_come_from_the_items_own_generator() -> None:
    noise = ItemNoise(generators(1, 2), [4, 3])
    first, second = noise(torch.zeros(2, 5, 3)), noise(torch.zeros(2, 5, 3))
    own = torch.Generator().manual_seed(2)
    assert torch.equal(first[1, :3], torch.randn(3, 3, generator=own))
    assert torch.equal(second[1, :3], torch.randn(3, 3, generator=own))


def test_padding_gets_zeros() -> None:
    drawn = ItemNoise(generators(1, 2), [4, 3])(torch.zeros(2, 5, 3))
    assert bool((drawn[0, 4:] == 0).all())
    assert bool((drawn[1, 3:] == 0).all())
    assert bool((drawn[0, :4] != 0).all())


def test_dtype_follows_the_sample() -> None:
    assert ItemNoise(generators(1), [2])(torch.zeros(1, 2).double()).dtype == torch.float64


def test_every_item_needs_a_generator() -> None:
    with pytest.raises(ValueError, match="zip"):
        ItemNoise(generators(1), [4, 3])
