"""Named feature arrays, as the original program calls them, into `FoldInputs`."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from foldwright.models.fold.inputs import (
    Alignment,
    AtomLayout,
    FoldInputs,
    Gather,
    ReferenceAtoms,
    Templates,
    Tokens,
)
from foldwright.models.fold.windows import without_empty_windows
from foldwright.runtime.errors import InputError, Problem

Arrays = Mapping[str, np.ndarray]

_SHAPES = {
    "token_index": "n",
    "residue_index": "n",
    "asym_id": "n",
    "entity_id": "n",
    "sym_id": "n",
    "aatype": "n",
    "seq_mask": "n",
    "msa": "s n",
    "deletion_matrix": "s n",
    "msa_mask": "s n",
    "profile": "n 31",
    "deletion_mean": "n",
    "template_aatype": "t n",
    "template_atom_positions": "t n 24 3",
    "template_atom_mask": "t n 24",
    "ref_pos": "n 24 3",
    "ref_mask": "n 24",
    "ref_element": "n 24",
    "ref_charge": "n 24",
    "ref_atom_name_chars": "n 24 4",
    "ref_space_uid": "n 24",
    "pred_dense_atom_mask": "n 24",
    "frames_mask": "n",
}
_GATHERS = {
    "token_atoms_to_queries": "w 32",
    "tokens_to_queries": "w 32",
    "tokens_to_keys": "w 128",
    "queries_to_keys": "w 128",
    "queries_to_token_atoms": "n 24",
    "token_atoms_to_pseudo_beta": "n",
    "tokens_to_polymer_ligand_bonds": "p 2",
    "tokens_to_ligand_ligand_bonds": "l 2",
}
_MASKS = (
    "seq_mask",
    "msa_mask",
    "template_atom_mask",
    "ref_mask",
    "pred_dense_atom_mask",
    "frames_mask",
)


def inputs_from_arrays(arrays: Arrays, source: str) -> FoldInputs:
    """Build the inputs from arrays with the original's feature names; other names are ignored.

    Args:
        arrays: numpy arrays; a gather table has `NAME:gather_idxs` and `NAME:gather_mask`.
        source: where they come from, for messages.

    Raises:
        InputError: every array that is missing or whose shape does not fit the others.
    """
    shapes = dict(_SHAPES)
    for name, shape in _GATHERS.items():
        shapes |= {f"{name}:gather_idxs": shape, f"{name}:gather_mask": shape}
    problems = _problems(arrays, shapes)
    if problems:
        raise InputError([Problem(source, problem) for problem in problems])
    tensors = {name: _tensor(name, arrays[name]) for name in shapes}
    gathers = {
        name: Gather(tensors[f"{name}:gather_idxs"], tensors[f"{name}:gather_mask"])
        for name in _GATHERS
    }
    return FoldInputs(
        tokens=_tokens(tensors),
        alignment=Alignment(
            tensors["msa"],
            tensors["deletion_matrix"],
            tensors["msa_mask"],
            tensors["profile"],
            tensors["deletion_mean"],
        ),
        templates=Templates(
            tensors["template_aatype"],
            tensors["template_atom_positions"],
            tensors["template_atom_mask"],
        ),
        reference=_reference(tensors),
        layout=without_empty_windows(_layout(gathers), tensors["pred_dense_atom_mask"]),
        pseudo_beta=gathers["token_atoms_to_pseudo_beta"],
        bonds=torch.cat(
            [
                gathers[name].index * gathers[name].mask
                for name in ("tokens_to_polymer_ligand_bonds", "tokens_to_ligand_ligand_bonds")
            ]
        ),
        frames=tensors["frames_mask"],
    )


def _problems(arrays: Arrays, shapes: Mapping[str, str]) -> list[str]:
    """Name what is missing, and shapes that differ from the first array with that letter."""
    sizes: dict[str, tuple[int, str]] = {}
    problems = []
    for name, shape in shapes.items():
        if name not in arrays:
            problems.append(f"has no array {name}, which the network needs")
            continue
        found, letters = np.shape(arrays[name]), shape.split()
        expected = [
            int(letter) if letter.isdigit() else sizes.setdefault(letter, (size, name))[0]
            for letter, size in zip(letters, found, strict=False)
        ]
        if len(found) != len(letters) or list(found) != expected:
            problems.append(f"{name} has shape {found}, expected ({shape}) as in the other arrays")
    return problems


def _tensor(name: str, array: np.ndarray) -> Tensor:
    tensor = torch.from_numpy(np.ascontiguousarray(array))
    if name in _MASKS or name.endswith(":gather_mask"):
        return tensor.bool()
    return tensor.float() if tensor.is_floating_point() else tensor.long()


def _tokens(tensors: Mapping[str, Tensor]) -> Tokens:
    return Tokens(
        index=tensors["token_index"],
        residue_index=tensors["residue_index"],
        asym_id=tensors["asym_id"],
        entity_id=tensors["entity_id"],
        sym_id=tensors["sym_id"],
        residue_class=tensors["aatype"],
        mask=tensors["seq_mask"],
    )


def _reference(tensors: Mapping[str, Tensor]) -> ReferenceAtoms:
    return ReferenceAtoms(
        positions=tensors["ref_pos"],
        mask=tensors["ref_mask"],
        element=tensors["ref_element"],
        charge=tensors["ref_charge"],
        name_characters=tensors["ref_atom_name_chars"],
        space_uid=tensors["ref_space_uid"],
        real=tensors["pred_dense_atom_mask"],
    )


def _layout(gathers: Mapping[str, Gather]) -> AtomLayout:
    keys = gathers["queries_to_keys"]
    # The query layout may have up to 31 slots more than the tokens; they are all empty.
    last_slot = gathers["queries_to_token_atoms"].index.numel() - 1
    return AtomLayout(
        token_atoms_to_queries=gathers["token_atoms_to_queries"],
        tokens_to_queries=gathers["tokens_to_queries"],
        tokens_to_keys=gathers["tokens_to_keys"],
        queries_to_keys=gathers["queries_to_keys"],
        key_spaces=Gather(keys.index.clamp(max=last_slot), keys.mask),
        queries_to_token_atoms=gathers["queries_to_token_atoms"],
    )
