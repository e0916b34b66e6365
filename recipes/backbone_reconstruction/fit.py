"""Fit the table that turns a C-alpha trace into a backbone.

    python recipes/backbone_reconstruction/fit.py STRUCTURES [--out TABLE.npz]

STRUCTURES holds `chains_00.npz` and `index.csv`: all chains behind one another as
`coords` (residues, 4, 3) in Å, N CA C O, with `offsets`, and a table with the columns `split` and
`atoms`. Chains of the train split with all four atoms are used. Without --out the table of the
package is replaced.
"""

import argparse
import csv
import hashlib
import io
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import foldwright.geometry
from foldwright.geometry import trace_features
from foldwright.geometry.torsion import bond_angle, dihedral_angle
from foldwright.geometry.trace_features import TraceUnits, trace_units
from foldwright.geometry.vectors import cross, dot, norm
from foldwright.runtime.files import write_atomic

N, CA, C, O = range(4)  # noqa: E741
PACKAGE_TABLE = Path(foldwright.geometry.__path__[0]) / "backbone_table.npz"
RIDGE = 3.0
# Planarity (radians from 0 or pi) and CA-CA distances of units worth learning from.
MAX_TWIST = 0.6
TRANS_RANGE, CIS_RANGE = (3.65, 3.95), (2.7, 3.2)


def full_backbones(folder: Path, split: str) -> Iterator[Tensor]:
    """Chains of a split whose N, CA, C and O are all there, in float64."""
    with np.load(folder / "chains_00.npz", allow_pickle=False) as arrays:
        coords, offsets = arrays["coords"], arrays["offsets"]
    with (folder / "index.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row, start, stop in zip(rows, offsets[:-1], offsets[1:], strict=True):
        chain = coords[start:stop]
        if row["split"] == split and row["atoms"] == "NCACO" and np.isfinite(chain).all():
            yield torch.from_numpy(chain).double()


class Regression:
    """Ridge regression from running sums, so that no chain is held."""

    def __init__(self) -> None:
        self.gram: Tensor | None = None
        self.moment: Tensor | None = None
        self.count = 0

    def add(self, features: Tensor, angle: Tensor) -> None:
        """Take in examples: features (k, f) and the angle each should give (k,)."""
        target = torch.stack([torch.cos(angle), torch.sin(angle)], dim=1)
        gram, moment = features.T @ features, features.T @ target
        self.gram = gram if self.gram is None else self.gram + gram
        self.moment = moment if self.moment is None else self.moment + moment
        self.count += len(angle)

    def solve(self) -> np.ndarray:
        """Coefficients (f, 2) for the cosine and the sine."""
        assert self.gram is not None, "no examples"
        penalty = RIDGE * torch.eye(len(self.gram), dtype=self.gram.dtype)
        return torch.linalg.solve(self.gram + penalty, self.moment).float().numpy()


class Shapes:
    """Bond lengths and angles of units of one kind; their medians are the ideal unit."""

    def __init__(self) -> None:
        self.rows: list[Tensor] = []

    def add(self, backbone: Tensor, chosen: Tensor) -> None:
        """Take in the chosen units of a chain."""
        ca, c, o = backbone[:-1, CA], backbone[:-1, C], backbone[:-1, O]
        n, following = backbone[1:, N], backbone[1:, CA]
        lengths = [norm(c - ca), norm(n - c), norm(following - n), norm(o - c)]
        angles = [bond_angle(ca, c, n), bond_angle(c, n, following), bond_angle(ca, c, o)]
        self.rows.append(torch.stack(lengths + angles, dim=1)[chosen])

    def median(self) -> np.ndarray:
        """The seven numbers of the ideal unit."""
        return torch.cat(self.rows).median(dim=0).values.float().numpy()


def carbonyl_angle(backbone: Tensor, units: TraceUnits, zero: Tensor) -> Tensor:
    """Angle of the peptide plane about the CA-CA axis, from the direction `zero` across it.

    Weighs C, O and N by their distance from the axis, as a superposition would.
    """
    start = backbone[:-1, CA]
    across = 1.8 * (backbone[:-1, O] - start) + 0.55 * (backbone[:-1, C] - start)
    across = across - 0.45 * (backbone[1:, N] - start)
    return torch.atan2(dot(across, cross(units.axis, zero)), dot(across, zero))


def add_units(backbone: Tensor, fits: dict[str, Regression], shapes: dict[str, Shapes]) -> None:
    """Take in the peptide units of one chain."""
    units = trace_units(backbone[:, CA])
    omega = dihedral_angle(backbone[:-1, CA], backbone[:-1, C], backbone[1:, N], backbone[1:, CA])
    for kind, (low, high), natural in (("trans", TRANS_RANGE, torch.pi), ("cis", CIS_RANGE, 0.0)):
        twist = (omega.abs() - natural).abs()
        good = units.linked & (twist < MAX_TWIST) & (units.length > low) & (units.length < high)
        shapes[kind].add(backbone, good)
        both = good & units.has_left & units.has_right
        from_left = carbonyl_angle(backbone, units, units.left)
        from_right = carbonyl_angle(backbone, units, units.right)
        left = trace_features.bend_features(units.bend[:-1])
        right = trace_features.bend_features(units.bend[1:])
        fits[f"{kind}_left"].add(left[both], from_left[both])
        fits[f"{kind}_right"].add(right[both], from_right[both])
        if kind == "cis":
            fits["cis_narrow"].add(trace_features.cis_features(units)[both], from_left[both])
            continue
        far = both & units.has_far
        fits["trans_narrow"].add(trace_features.narrow_features(units)[both], from_left[both])
        wide = [trace_features.products(a, b) for a, b in trace_features.wide_factors(units)]
        fits["trans_wide"].add(torch.cat(wide, dim=1)[far], from_left[far])


def add_ends(backbone: Tensor, fits: dict[str, Regression]) -> None:
    """Take in every run of four CA as if the chain began or ended with it."""
    units = trace_units(backbone[:, CA])
    n, ca, c, o = backbone.unbind(1)
    psi = dihedral_angle(n[:-1], ca[:-1], c[:-1], n[1:])
    phi = dihedral_angle(c[:-1], n[1:], ca[1:], c[1:])
    carbonyl = dihedral_angle(n, ca, c, o)
    unit = (units.has_left & units.has_right).nonzero().squeeze(1)
    opening = trace_features.end_features(units.turn[unit], units.bend[unit])
    closing = trace_features.end_features(units.turn[unit], units.bend[unit + 1])
    fits["first_psi"].add(opening, psi[unit - 1])
    fits["last_phi"].add(closing, phi[unit + 1])
    fits["last_o"].add(closing, carbonyl[unit + 2])


def fit(folder: Path) -> dict[str, np.ndarray]:
    """All arrays of the table, with a text that says where they come from."""
    names = ("trans_wide", "trans_narrow", "trans_left", "trans_right", "cis_narrow", "cis_left")
    names += ("cis_right", "first_psi", "last_phi", "last_o")
    fits = {name: Regression() for name in names}
    shapes = {"trans": Shapes(), "cis": Shapes()}
    inner_angles, num_chains = [], 0
    for backbone in full_backbones(folder, "train"):
        add_units(backbone, fits, shapes)
        add_ends(backbone, fits)
        inner_angles.append(bond_angle(backbone[:, N], backbone[:, CA], backbone[:, C]))
        num_chains += 1
    table = {name: regression.solve() for name, regression in fits.items()}
    table |= {f"{kind}_shape": shape.median() for kind, shape in shapes.items()}
    table["n_ca_c"] = torch.cat(inner_angles).median().float().numpy()
    provenance = {
        "made_by": "recipes/backbone_reconstruction/fit.py",
        "chains": num_chains,
        "split": "train",
        "examples": {name: regression.count for name, regression in fits.items()},
        "ridge": RIDGE,
        "index_sha256": hashlib.sha256((folder / "index.csv").read_bytes()).hexdigest(),
    }
    table["provenance"] = np.array(json.dumps(provenance))
    return table


def table_bytes(table: dict[str, np.ndarray]) -> bytes:
    """The table as an .npz file."""
    buffer = io.BytesIO()
    np.savez(buffer, **table)
    return buffer.getvalue()


def main() -> None:
    """Fit and write."""
    parser = argparse.ArgumentParser(description="Fit the backbone reconstruction table.")
    parser.add_argument("structures", type=Path, help="folder of chains_00.npz and index.csv")
    parser.add_argument("--out", type=Path, default=PACKAGE_TABLE, help="table to write")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    data = table_bytes(fit(arguments.structures))
    write_atomic(arguments.out, data)
    print(f"{arguments.out}: {len(data)} bytes")


if __name__ == "__main__":
    main()
