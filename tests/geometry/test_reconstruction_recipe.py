"""The recipe that fits the table, run on a small made-up data set."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch

ROOT = Path(__file__).resolve().parents[2]
RECIPE = ROOT / "recipes" / "backbone_reconstruction" / "fit.py"
STRAND = (-115.0, 130.0)


def write_structures(folder: Path, chains: list[tuple[torch.Tensor, str]]) -> None:
    lengths = [len(chain) for chain, _ in chains]
    coords = torch.cat([chain for chain, _ in chains]).float().numpy()
    np.savez(folder / "chains_00.npz", coords=coords, offsets=np.cumsum([0, *lengths]))
    with (folder / "index.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["name", "split", "atoms"])
        writer.writerows([f"c{i}", split, "NCACO"] for i, (_, split) in enumerate(chains))


def test_the_recipe_writes_a_table_of_the_train_split_alone(tmp_path, ideal_chain, mixed_chain):
    bent = ideal_chain([STRAND] * 6 + [(-75.0, 145.0)] * 3 + [STRAND] * 6, cis=frozenset({6}))
    stretched = 1.1 * mixed_chain
    write_structures(tmp_path, [(mixed_chain, "train"), (bent, "train"), (stretched, "test")])
    command = [sys.executable, str(RECIPE), str(tmp_path), "--out", str(tmp_path / "table.npz")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}
    subprocess.run(command, check=True, env=environment, capture_output=True, timeout=120)
    bundled_file = ROOT / "src" / "foldwright" / "geometry" / "backbone_table.npz"
    with np.load(tmp_path / "table.npz") as made, np.load(bundled_file) as bundled:
        assert {k: made[k].shape for k in made} == {k: bundled[k].shape for k in bundled}
        # The chains were built with these bonds and angles.
        np.testing.assert_allclose(made["trans_shape"][:4], [1.525, 1.33, 1.46, 1.232], atol=1e-3)
        np.testing.assert_allclose(np.rad2deg(made["trans_shape"][4]), 116.6, atol=0.05)
        np.testing.assert_allclose(np.rad2deg(made["cis_shape"][5]), 126.5, atol=0.05)
        assert json.loads(str(made["provenance"]))["chains"] == 2
