"""A chain of 1,024 residues from factorised pairs, in one command on the CPU."""

import csv
from pathlib import Path

import numpy as np
import torch

from foldwright.cli.main import main
from foldwright.models.backbone.config import DiffusionConfig, GenieConfig
from foldwright.models.backbone.model import BackboneModel
from foldwright.models.backbone.weights import save_weights
from foldwright.structure.io import read_structure


def test_long_chain_in_one_command(tmp_path: Path) -> None:
    torch.manual_seed(0)
    sizes = {"c_s": 8, "c_p": 8, "c_position": 8, "c_timestep": 8, "num_pair_layers": 1}
    sizes |= {"num_structure_layers": 1, "c_ipa": 4, "num_ipa_heads": 2, "pair_neighbours": 8}
    genie = GenieConfig.model_validate({"pair": "factorized", "max_length": 1024, **sizes})
    model = BackboneModel(genie, DiffusionConfig(num_steps=20))
    save_weights(model, tmp_path / "long.safetensors", provenance={"made": "at random"})
    words = ["--weights", str(tmp_path / "long.safetensors"), "--out", str(tmp_path / "out")]
    words += ["--device", "cpu", "--length", "1024", "--sampler", "ddim", "--steps", "2"]
    assert main(["design", *words]) == 0
    (row,) = csv.DictReader((tmp_path / "out" / "scores.csv").open())
    (chain,) = read_structure(tmp_path / "out" / f"{row['name']}.cif").protein_chains
    assert len(chain) == 1024
    assert bool(np.isfinite(chain.backbone()).all())
