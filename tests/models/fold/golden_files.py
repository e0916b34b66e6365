"""Reads the reference numbers of the original fold network."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from foldwright.models.fold.arrays import inputs_from_arrays
from foldwright.models.fold.config import AtomConfig, DenoiserConfig, FoldConfig
from foldwright.models.fold.inputs import FoldInputs
from foldwright.models.fold.weights.record_parameters import parameters_from_records

OWN_GOLDENS = Path(__file__).resolve().parents[2] / "golden" / "af3"


@dataclass(frozen=True)
class FoldGolden:
    """One file: inputs, parameters under the original's names, outputs."""

    arrays: dict[str, np.ndarray]
    meta: dict[str, Any]

    def tensor(self, key: str) -> Tensor:
        return torch.from_numpy(np.array(self.arrays[key]))

    def input(self, name: str) -> Tensor:
        return self.tensor(f"in/{name}")

    def mask(self, name: str) -> Tensor:
        return self.input(name) > 0.5

    def result(self, name: str) -> Tensor:
        return self.tensor(f"out/{name}")

    def records(self) -> dict[str, Tensor]:
        names = [key for key in self.arrays if key.startswith("param/")]
        return {key.removeprefix("param/"): self.tensor(key) for key in names}

    def load(self, module: nn.Module, path: str) -> nn.Module:
        """Give the stored parameters to a module whose records begin with `path`."""
        parameters = parameters_from_records(self.records(), module, path, "golden")
        module.load_state_dict(parameters, strict=True)
        return module.eval().requires_grad_(False)

    def batch(self) -> dict[str, np.ndarray]:
        start = "in/batch/"
        return {k.removeprefix(start): v for k, v in self.arrays.items() if k.startswith(start)}

    def inputs(self) -> FoldInputs:
        """The inputs; what this file does not hold (an alignment, say) is empty."""
        given = self.batch()
        n = len(given["seq_mask"])
        empty = {
            **{key: np.zeros(n, np.int32) for key in _TOKEN_NAMES},
            "msa": np.zeros((1, n), np.int8),
            "deletion_matrix": np.zeros((1, n), np.int8),
            "msa_mask": np.ones((1, n), bool),
            "profile": np.zeros((n, 31), np.float32),
            "deletion_mean": np.zeros(n, np.float32),
            "template_aatype": np.zeros((4, n), np.int32),
            "template_atom_positions": np.zeros((4, n, 24, 3), np.float32),
            "template_atom_mask": np.zeros((4, n, 24), bool),
            "frames_mask": np.zeros(n, bool),
        }
        for name, shape in _GATHER_SHAPES.items():
            empty[f"{name}:gather_idxs"] = np.zeros((n, *shape), np.int32)
            empty[f"{name}:gather_mask"] = np.zeros((n, *shape), bool)
        windows = -(-24 * n // 32)
        for name, width in _WINDOW_GATHERS.items():
            empty[f"{name}:gather_idxs"] = np.zeros((windows, width), np.int32)
            empty[f"{name}:gather_mask"] = np.zeros((windows, width), bool)
        for name, end in _ATOM_NAMES.items():
            kind = np.float32 if name in ("ref_pos", "ref_charge") else np.int32
            empty[name] = np.zeros((n, 24, *end), kind)
        return inputs_from_arrays({**empty, **given}, "golden")


_TOKEN_NAMES = ("token_index", "residue_index", "asym_id", "entity_id", "sym_id", "aatype")
_GATHER_SHAPES: dict[str, tuple[int, ...]] = {
    "queries_to_token_atoms": (24,),
    "token_atoms_to_pseudo_beta": (),
    "tokens_to_polymer_ligand_bonds": (2,),
    "tokens_to_ligand_ligand_bonds": (2,),
}
_WINDOW_GATHERS = {
    "token_atoms_to_queries": 32,
    "tokens_to_queries": 32,
    "tokens_to_keys": 128,
    "queries_to_keys": 128,
}
_ATOM_NAMES: dict[str, tuple[int, ...]] = {
    "ref_pos": (3,),
    "ref_mask": (),
    "ref_element": (),
    "ref_charge": (),
    "ref_atom_name_chars": (4,),
    "ref_space_uid": (),
    "pred_dense_atom_mask": (),
}


LoadGolden = Callable[[str], FoldGolden]
"""What the fixture `fold_golden` is."""


def load_fold_golden(path: Path) -> FoldGolden:
    """Read one file."""
    with np.load(path) as stored:
        arrays = {key: stored[key] for key in stored.files}
    return FoldGolden(arrays, json.loads(str(arrays.pop("meta", "{}"))))


def relative_error(found: Tensor, expected: Tensor, where: Tensor | None = None) -> float:
    """Largest difference over the largest value, optionally where a mask (from the left) is set."""
    error = (found.double() - expected.double()).abs()
    scale = expected.double().abs()
    if where is not None:
        error, scale = error[where], scale[where]
    return float(error.max() / scale.max())


TINY = FoldConfig(
    pair_channels=32,
    single_channels=32,
    msa_channels=16,
    template_channels=16,
    input_channels=24,
    outer_channels=6,
    pair_heads=2,
    msa_heads=4,
    single_heads=4,
    num_msa_blocks=2,
    num_template_blocks=2,
    num_trunk_blocks=2,
    num_confidence_blocks=1,
    num_msa_rows=8,
    atoms=AtomConfig(
        channels=16,
        pair_channels=8,
        num_heads=2,
        width=16,
        num_input_blocks=2,
        num_diffusion_blocks=3,
    ),
    diffusion=DenoiserConfig(
        token_channels=48,
        single_channels=40,
        pair_channels=24,
        num_heads=4,
        num_super_blocks=2,
        super_block_size=2,
    ),
)
"""Sizes of the small network in the files with several modules."""
