"""Small peptide models with random weights, and stores to train them on."""

from pathlib import Path

import numpy as np
import torch

from foldwright.data.peptide_store import PeptideStore, write_peptide_store
from foldwright.data.peptide_structures import PeptideStructures, StoredStructure
from foldwright.data.peptide_table import PeptideTable
from foldwright.models.peptide.config import (
    DecoderConfig,
    EncoderConfig,
    LatentDiffusionConfig,
    PeptideConfig,
    PeptideDenoiserConfig,
)
from foldwright.models.peptide.inputs import PeptideBatch, collate_peptides
from foldwright.models.peptide.model import PeptideModel
from foldwright.sequence.residues import RESIDUES, encode_sequence

LABELS = ("antimicrobial", "antifungal", "antiviral", "toxic")


def small_config(**diffusion) -> PeptideConfig:
    return PeptideConfig(
        max_length=16,
        encoder=EncoderConfig(channels=16, num_layers=1, num_heads=2),
        denoiser=PeptideDenoiserConfig(channels=16, num_layers=2, num_heads=2, expansion=2),
        decoder=DecoderConfig(channels=16, num_layers=1, num_heads=2),
        diffusion=LatentDiffusionConfig(num_steps=50, **diffusion),
    )


def small_model(seed: int = 0, **diffusion) -> PeptideModel:
    """A model all of whose weights are random: nothing is zero at the start."""
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        model = PeptideModel(small_config(**diffusion), LABELS)
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.2)
    model.latent_mean.fill_(0.1)
    model.latent_std.fill_(0.7)
    return model.eval()


def batch_of(*sequences: str, labels: int = 1, width: int | None = None) -> PeptideBatch:
    """A batch; `width` pads it further."""
    tokens = [torch.from_numpy(encode_sequence(s)) for s in sequences]
    rows = [torch.full((len(LABELS),), labels, dtype=torch.int8) for _ in sequences]
    batch = collate_peptides(tokens, rows, sequences)
    if width is None:
        return batch
    longer = collate_peptides(
        [*tokens, torch.zeros(width, dtype=torch.int64)], [*rows, rows[0]], [*sequences, "pad"]
    )
    return PeptideBatch(
        longer.tokens[:-1],
        longer.mask[:-1],
        longer.labels[:-1],
        longer.secondary[:-1],
        None,
        batch.names,
    )


def helix_backbone(length: int) -> np.ndarray:
    """N, CA, C, O of an ideal alpha helix, each atom on its own screw (Å)."""
    radius = np.array([1.55, 2.29, 1.68, 2.02])
    phase = np.radians([-27.4, 0.0, 26.2, 29.8])
    rise = np.array([-0.90, 0.0, 1.09, 2.30])
    turn = np.radians(100.0) * np.arange(length)[:, None]
    height = 1.5 * np.arange(length)[:, None] + rise
    return np.stack(
        [radius * np.cos(turn + phase), radius * np.sin(turn + phase), height], axis=-1
    ).astype(np.float32)


def make_peptide_store(folder: Path, *, train: int = 24, val: int = 8) -> PeptideStore:
    """Random peptides of 5 to 16 residues; a third has no label 1, a few have a helix."""
    numbers = np.random.default_rng(3)
    sequences: list[str] = []
    while len(sequences) < train + val:
        length = int(numbers.integers(5, 17))
        text = "".join(RESIDUES[k] for k in numbers.integers(0, 20, length))
        if text not in sequences:
            sequences.append(text)
    labels = numbers.integers(-1, 2, (len(sequences), len(LABELS))).astype(np.int8)
    labels[::3] = np.where(labels[::3] == 1, 0, labels[::3])
    labels[1::3, 0] = 1
    table = PeptideTable(
        sequences=tuple(sequences),
        labels=labels,
        label_names=LABELS,
        split=("train",) * train + ("val",) * val,
        cluster=tuple(f"c{k}" for k in range(len(sequences))),
    )
    structures = {
        s: StoredStructure(
            helix_backbone(len(s)),
            np.ones((len(s), 4), dtype=bool),
            np.full(len(s), 80.0, dtype=np.float32),
        )
        for s in sequences[1::4]
    }
    write_peptide_store(
        table, folder, source="random letters", structures=PeptideStructures(structures)
    )
    return PeptideStore.open(folder)
