"""Atoms beside the residues: what they add, what they leave alone, and how they move."""

import dataclasses

import pytest
import torch
from torch import Tensor

from foldwright.geometry.rigid import Rigid
from foldwright.nn.flash_ipa import FlashIpa, create_flash_ipa
from foldwright.nn.point_attention import attend
from foldwright.nn.point_attention.choice import PointBackend
from foldwright.nn.point_attention.ligand import (
    ExtraKeys,
    LigandAtoms,
    LigandKeys,
    with_extra_keys,
)
from foldwright.nn.point_attention.terms import DenseTerms, PairTerms
from tests.nn.point_attention.test_back_ends import B, C, D, H, N, check, factors, neighbours, terms
from tests.nn.random_blocks import normal, with_random_weights
from tests.nn.test_pair_point_attention import KINDS, pairs_of, small_layer, some_frames

ATOMS = 4


def extra(mask: Tensor | None = None) -> ExtraKeys:
    return ExtraKeys(
        normal(B, H, ATOMS, C, seed=41),
        normal(B, H, ATOMS, C, seed=42),
        normal(B, ATOMS, 3, seed=43),
        torch.ones(B, ATOMS, dtype=torch.bool) if mask is None else mask,
    )


def pair_terms(kind: str) -> PairTerms:
    if kind == "dense":
        bias, values = normal(B, H, N, N), normal(B, N, N, D)
        return DenseTerms(bias.requires_grad_(), values.requires_grad_())
    return factors(2) if kind == "factorized" else neighbours()


@pytest.mark.parametrize(
    ("kind", "backend"),
    [
        ("dense", "dense"),
        ("factorized", "dense"),
        ("factorized", "sdpa"),
        ("factorized", "tiles"),
        ("sparse", "gather"),
    ],
)
def test_every_back_end_takes_extra_keys(kind: str, backend: PointBackend) -> None:
    check(with_extra_keys(terms(pair_terms(kind)), extra()), backend, 1e-12)


@KINDS
def test_an_atom_alone_is_what_a_residue_sees(kind: str) -> None:
    t = terms(pair_terms(kind))
    only = torch.zeros(B, ATOMS, dtype=torch.bool)
    only[:, 2] = True
    t = dataclasses.replace(t, mask=torch.zeros_like(t.mask))
    seen = attend(with_extra_keys(t, extra(only)))
    atom = extra()
    for item, length in ((0, 7), (1, 5)):
        for query in range(length):
            torch.testing.assert_close(seen.scalars[item, :, query], atom.value[item, :, 2])
            where = atom.positions[item, 2].expand_as(seen.points[item, :, query])
            torch.testing.assert_close(seen.points[item, :, query], where)
    assert seen.pairs is not None
    assert seen.pairs.abs().max() == 0


@KINDS
def test_masked_atoms_change_nothing(kind: str) -> None:
    layer, keys = small_layer(), ligand_keys()
    s, frames, mask = normal(1, 6, 6), some_frames(6), torch.ones(1, 6, dtype=torch.bool)
    atoms = dataclasses.replace(some_atoms(), mask=torch.zeros(1, ATOMS, dtype=torch.bool))
    without = layer(s, pairs_of(kind, 6), frames, mask)
    torch.testing.assert_close(
        layer(s, pairs_of(kind, 6), frames, mask, extra=keys(atoms)), without
    )
    there = layer(s, pairs_of(kind, 6), frames, mask, extra=keys(some_atoms()))
    assert not torch.allclose(there, without)


@KINDS
def test_turning_residues_and_atoms_together_changes_nothing(kind: str) -> None:
    layer, keys, atoms = small_layer(), ligand_keys(), some_atoms()
    s, frames, mask = normal(1, 6, 6), some_frames(6), torch.ones(1, 6, dtype=torch.bool)
    turn = torch.linalg.qr(normal(3, 3, seed=11))[0]
    moved = Rigid(turn @ frames.rots, frames.trans @ turn.T + 50.0)
    moved_atoms = dataclasses.replace(atoms, positions=atoms.positions @ turn.T + 50.0)
    expected = layer(s, pairs_of(kind, 6), frames, mask, extra=keys(atoms))
    found = layer(s, pairs_of(kind, 6), moved, mask, extra=keys(moved_atoms))
    torch.testing.assert_close(found, expected)
    alone = layer(s, pairs_of(kind, 6), frames, mask, extra=keys(moved_atoms))
    assert not torch.allclose(alone, expected)


def test_order_of_atoms_does_not_matter() -> None:
    layer, keys, atoms = small_layer(), ligand_keys(), some_atoms()
    s, frames, mask = normal(1, 6, 6), some_frames(6), torch.ones(1, 6, dtype=torch.bool)
    back = LigandAtoms(atoms.features.flip(1), atoms.positions.flip(1), atoms.mask.flip(1))
    one, two = (
        layer(s, pairs_of("factorized", 6), frames, mask, extra=keys(a)) for a in (atoms, back)
    )
    torch.testing.assert_close(one, two)


def some_atoms() -> LigandAtoms:
    mask = torch.tensor([[True, True, False, True]])
    return LigandAtoms(normal(1, ATOMS, 5, seed=44), normal(1, ATOMS, 3, seed=45), mask)


def ligand_keys() -> LigandKeys:
    return with_random_weights(LigandKeys(5, c_hidden=4, num_heads=2))


def stack(c_ligand: int) -> FlashIpa:
    made = create_flash_ipa(
        c_s=8, c_z=8, depth=2, z_rank=3, num_heads=2, c_hidden=4, c_ligand=c_ligand
    )
    return with_random_weights(made)


def test_a_stack_moves_with_its_chain_and_ligand() -> None:
    net, s, frames = stack(5), normal(1, 6, 8), some_frames(6)
    factors_of_pairs = normal(1, 6, 3, 8, seed=2), normal(1, 6, 3, 8, seed=3)
    mask, atoms = torch.ones(1, 6, dtype=torch.bool), some_atoms()
    turn = torch.linalg.qr(normal(3, 3, seed=11))[0]
    turn = turn * torch.linalg.det(turn)
    features, placed = net(s, frames, *factors_of_pairs, mask, atoms)
    moved = Rigid(turn @ frames.rots, frames.trans @ turn.T + 9.0)
    moved_atoms = dataclasses.replace(atoms, positions=atoms.positions @ turn.T + 9.0)
    same, followed = net(s, moved, *factors_of_pairs, mask, moved_atoms)
    torch.testing.assert_close(same, features)
    torch.testing.assert_close(followed.trans, placed.trans @ turn.T + 9.0)
    torch.testing.assert_close(followed.rots, turn @ placed.rots)
    without, _ = net(s, frames, *factors_of_pairs, mask)
    assert not torch.allclose(without, features)


def test_a_stack_without_ligands_refuses_them() -> None:
    parts = normal(1, 6, 3, 8, seed=2), normal(1, 6, 3, 8, seed=3)
    mask = torch.ones(1, 6, dtype=torch.bool)
    with pytest.raises(ValueError, match="built without ligand atoms: give c_ligand their width"):
        stack(0)(normal(1, 6, 8), some_frames(6), *parts, mask, some_atoms())
