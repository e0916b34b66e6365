"""Small chains with known geometry, and folders of files made of them."""

from pathlib import Path

import numpy as np

from foldwright.data.chain_shape import ChainShape
from foldwright.data.store import NewChain
from foldwright.structure.io import write_structure
from foldwright.structure.records import Chain, Structure

FLAT = ChainShape(helix=0.5, strand=0.25, coil=0.25, rg=10.0)
LETTERS = "ACDEFGHIKLMNPQRSTVWY"


def helix_ca(length: int) -> np.ndarray:
    """C-alpha positions of an ideal alpha helix: 100 degrees and 1.5 Å per residue."""
    angle = np.deg2rad(100.0) * np.arange(length)
    height = 1.5 * np.arange(length)
    return np.stack([2.3 * np.cos(angle), 2.3 * np.sin(angle), height], axis=-1)


def with_peptide_atoms(ca: np.ndarray) -> np.ndarray:
    """Backbone whose N and C lie on the lines between the given CA; O is missing."""
    step = np.diff(ca, axis=0, append=2 * ca[-1:] - ca[-2:-1])
    before = np.concatenate([step[:1], step[:-1]])
    missing = np.full_like(ca, np.nan)
    return np.stack([ca - 0.38 * before, ca, ca + 0.4 * step, missing], axis=1).astype(np.float32)


def sequence_of(length: int, seed: int = 0) -> str:
    return "".join(np.random.default_rng(seed).choice(list(LETTERS), length))


def helix_chain(length: int, *, chain_id: str = "A", seed: int = 0) -> Chain:
    backbone = with_peptide_atoms(helix_ca(length))
    return Chain.from_backbone(backbone, chain_id, sequence_of(length, seed))


def write_chains(path: Path, *chains: Chain, resolution: float | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_structure(Structure(path.stem, chains, resolution=resolution), path)
    return path


def new_chain(name: str, length: int = 5, *, split: str = "train", cluster: str = "") -> NewChain:
    """A chain of random numbers for the store, with some atoms missing."""
    generator = np.random.default_rng([length, *name.encode()])
    backbone = generator.normal(size=(length, 4, 3)).astype(np.float32)
    backbone[0, 0] = np.nan
    return NewChain(
        name=name,
        backbone=backbone,
        sequence=sequence_of(length),
        residue_numbers=np.arange(-2, length - 2),
        split=split,
        cluster=cluster or name,
        shape=FLAT,
    )


def folder_bytes(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
