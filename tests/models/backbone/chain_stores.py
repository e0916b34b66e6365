"""Small stores of made-up chains."""

from pathlib import Path

import numpy as np

from foldwright.data.chain_shape import measure_shape
from foldwright.data.store import ChainStore, NewChain, StoreWriter


def make_chain(length: int, seed: int) -> np.ndarray:
    """A walk with steps of 3.8 Å around a helix: (length, 4, 3) with C-alpha only."""
    turns = np.arange(length) * np.radians(100.0)
    ca = np.stack([2.3 * np.cos(turns), 2.3 * np.sin(turns), 1.5 * np.arange(length)], axis=1)
    ca += np.random.default_rng(seed).normal(scale=0.2, size=ca.shape)
    backbone = np.full((length, 4, 3), np.nan, dtype=np.float32)
    backbone[:, 1] = ca
    return backbone


def make_store(path: Path, splits: dict[str, list[int]]) -> ChainStore:
    """Write chains of these lengths by split; two neighbours share a cluster."""
    number = 0
    with StoreWriter(path, source="made up") as writer:
        for split, lengths in splits.items():
            for place, length in enumerate(lengths):
                backbone = make_chain(length, number)
                writer.add(
                    NewChain(
                        name=f"{split}{place}",
                        backbone=backbone,
                        sequence="A" * length,
                        residue_numbers=np.arange(1, length + 1),
                        split=split,
                        cluster=f"{split}{place // 2}",
                        shape=measure_shape(backbone[:, 1]),
                    )
                )
                number += 1
    return ChainStore.open(path)
