"""A small input with every kind of token, and parameters, both from fixed random streams."""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from foldwright.models.fold.inputs import (
    Alignment,
    FoldInputs,
    Gather,
    ReferenceAtoms,
    Templates,
    Tokens,
)
from foldwright.models.fold.windows import atom_layout

GAP, UNKNOWN, UNKNOWN_BASE = 21, 20, 30
PROTEIN = (0, 7, 15, 11, 18, 4)
RNA = (22, 23, UNKNOWN_BASE)
DNA = (26, 29, UNKNOWN_BASE)
LIGAND_ATOMS = 4


def mixed_input() -> FoldInputs:
    """Two copies of a protein chain, RNA, DNA and a ligand: 22 tokens in AlphaFold 3's classes."""
    random = np.random.RandomState(11)
    tokens = _tokens()
    n = len(tokens)
    real = torch.from_numpy(_real_atoms(random, tokens.residue_class.numpy()))
    first = real.int().argmax(1)
    shown = torch.arange(n) * 24 + first
    return FoldInputs(
        tokens=tokens,
        alignment=_alignment(random, n),
        templates=_templates(random, n),
        reference=_reference(random, real, tokens),
        layout=atom_layout(real),
        pseudo_beta=Gather(shown, torch.ones(n, dtype=torch.bool)),
        bonds=torch.tensor([[18, 19], [19, 20], [21, 20], [2, 18]]),
        frames=torch.ones(n, dtype=torch.bool),
    )


def few_atoms() -> FoldInputs:
    """The same with three slots of every token: fewer atoms than a window has keys."""
    inputs = mixed_input()
    real = inputs.reference.real & (torch.arange(24) < 3)
    real[:, 0] = True
    reference = replace(inputs.reference, real=real)
    return replace(inputs, reference=reference, layout=atom_layout(real))


def seeded_parameters(shapes: Mapping[str, Sequence[int]]) -> dict[str, Tensor]:
    """Parameters of these names and shapes; each name has its own stream.

    `RandomState` promises the same numbers in every version of numpy, so parameters need not be
    kept beside the numbers made with them.
    """
    return {name: _parameter(name, tuple(shape)) for name, shape in shapes.items()}


def seeded_normal(name: str, *shape: int) -> Tensor:
    """Normal numbers from the stream of a name."""
    random = np.random.RandomState(zlib.crc32(name.encode()))
    return torch.from_numpy(random.standard_normal(shape).astype(np.float32))


def _parameter(name: str, shape: tuple[int, ...]) -> Tensor:
    values = seeded_normal(name, *shape)
    if len(shape) > 1:
        return values / float(shape[1]) ** 0.5
    return 0.2 * values + (0 if name.endswith("bias") else 1)


def _tokens() -> Tokens:
    lengths = (len(PROTEIN), len(PROTEIN), len(RNA), len(DNA), LIGAND_ATOMS)
    classes = (*PROTEIN, *PROTEIN, *RNA, *DNA, *(UNKNOWN,) * LIGAND_ATOMS)
    residues = [i + 1 for length in lengths[:4] for i in range(length)] + [1] * LIGAND_ATOMS

    def per_chain(values: Sequence[int]) -> Tensor:
        return torch.tensor(values).repeat_interleave(torch.tensor(lengths))

    return Tokens(
        index=torch.arange(sum(lengths)) + 1,
        residue_index=torch.tensor(residues),
        asym_id=per_chain((1, 2, 3, 4, 5)),
        entity_id=per_chain((1, 1, 2, 3, 4)),
        sym_id=per_chain((1, 2, 1, 1, 1)),
        residue_class=torch.tensor(classes),
        mask=torch.ones(sum(lengths), dtype=torch.bool),
    )


def _real_atoms(random: np.random.RandomState, classes: np.ndarray) -> np.ndarray:
    """Slots with an atom: some of the first ones, with gaps; one for atoms of a ligand."""
    real = np.zeros((len(classes), 24), bool)
    for token, kind in enumerate(classes):
        count = 1 if kind == UNKNOWN else 9 if kind < UNKNOWN else 22
        real[token, :count] = random.uniform(size=count) < 0.9
        real[token, 0] |= not real[token].any()
    return real


def _alignment(random: np.random.RandomState, n: int) -> Alignment:
    rows = random.randint(0, 31, size=(5, n))
    rows[1:][random.uniform(size=(4, n)) < 0.3] = GAP
    profile = random.uniform(size=(n, 31)) ** 4
    profile /= profile.sum(1, keepdims=True)
    return Alignment(
        rows=torch.from_numpy(rows),
        deletions=torch.from_numpy(random.poisson(0.7, size=(5, n))),
        mask=torch.ones(5, n, dtype=torch.bool),
        profile=torch.from_numpy(profile).float(),
        deletion_mean=torch.from_numpy(random.uniform(size=n)).float(),
    )


def _templates(random: np.random.RandomState, n: int) -> Templates:
    """Two templates of the first chain, two empty slots."""
    length = len(PROTEIN)
    classes, mask = np.zeros((4, n), int), np.zeros((4, n, 24), bool)
    classes[:2, :length] = random.randint(0, 20, size=(2, length))
    mask[:2, :length, :8] = random.uniform(size=(2, length, 8)) < 0.9
    positions = 5 * random.standard_normal((4, n, 24, 3)) * mask[..., None]
    return Templates(
        torch.from_numpy(classes), torch.from_numpy(positions).float(), torch.from_numpy(mask)
    )


def _reference(random: np.random.RandomState, real: Tensor, tokens: Tokens) -> ReferenceAtoms:
    shape = tuple(real.shape)
    residue = torch.unique(tokens.asym_id * 100 + tokens.residue_index, return_inverse=True)[1]
    placed = torch.from_numpy(random.uniform(size=shape) < 0.95)
    return ReferenceAtoms(
        positions=torch.from_numpy(2 * random.standard_normal((*shape, 3))).float(),
        mask=real & placed,
        element=torch.from_numpy(random.choice([6, 7, 8, 16], size=shape)),
        charge=torch.from_numpy(random.choice([-1.0, 0.0, 1.0], size=shape)).float(),
        name_characters=torch.from_numpy(random.randint(0, 64, size=(*shape, 4))),
        space_uid=residue[:, None].expand(shape).clone(),
        real=real,
    )
