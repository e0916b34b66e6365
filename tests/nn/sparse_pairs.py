"""Sparse pairs with lists of every kind."""

import torch
from torch import Tensor

from foldwright.nn.pair import SparsePair
from tests.nn.random_blocks import normal


def random_lists(b: int, n: int, k: int, *, channels: int = 5, seed: int = 1) -> SparsePair:
    """Neighbours at random, some absent, in no order."""
    generator = torch.Generator().manual_seed(seed)
    index = torch.rand(b, n, n, generator=generator).argsort(-1)[..., :k]
    present = torch.rand(b, n, k, generator=generator) < 0.8
    return SparsePair(normal(b, n, k, channels, seed=seed), index, present)


def pair_at(dense: Tensor, listed: Tensor, *, seed: int = 1) -> SparsePair:
    """Lists of all residues in an order of their own, of which the `listed` (b n n) are there."""
    b, n, _, c = dense.shape
    generator = torch.Generator().manual_seed(seed)
    index = torch.rand(b, n, n, generator=generator).argsort(-1)
    return SparsePair(
        dense.gather(2, index[..., None].expand(-1, -1, -1, c)), index, listed.gather(2, index)
    )


def at_lists(dense: Tensor, pair: SparsePair) -> Tensor:
    """Entries (b n k c) of a dense tensor at the listed pairs, zero at absent places."""
    index = pair.index[..., None].expand(-1, -1, -1, dense.shape[-1])
    return dense.gather(2, index) * pair.present[..., None]


def symmetric(b: int, n: int, *, seed: int = 1) -> Tensor:
    """Which pairs are listed, both ways or not at all; every residue with itself."""
    drawn = torch.rand(b, n, n, generator=torch.Generator().manual_seed(seed)) < 0.3
    return drawn | drawn.transpose(1, 2) | torch.eye(n, dtype=torch.bool)
