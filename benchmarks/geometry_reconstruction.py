"""Error and speed of the backbone reconstruction on natural chains.

    python benchmarks/geometry_reconstruction.py STRUCTURES [--split test]

STRUCTURES holds `chains_00.npz` and `index.csv`, as for `recipes/backbone_reconstruction/fit.py`.
Atoms missing from the natural chain are left out of the comparison.
"""

import argparse
import csv
import math
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from foldwright.geometry.reconstruction import backbone_from_ca
from foldwright.geometry.torsion import bond_angle, dihedral_angle
from foldwright.geometry.vectors import norm

N, CA, C, O = range(4)  # noqa: E741
BUILT = {"N": N, "C": C, "O": O}
NOISE_LEVELS = (0.0, 0.05, 0.1, 0.2, 0.3)


def chains(folder: Path, split: str) -> Iterator[Tensor]:
    """Full-backbone chains of a split, float32."""
    with np.load(folder / "chains_00.npz", allow_pickle=False) as arrays:
        coords, offsets = arrays["coords"], arrays["offsets"]
    with (folder / "index.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row, start, stop in zip(rows, offsets[:-1], offsets[1:], strict=True):
        if row["split"] == split and row["atoms"] == "NCACO":
            yield torch.from_numpy(coords[start:stop].astype(np.float32))


def square_errors(natural: Tensor, built: Tensor) -> Tensor:
    """Square deviation of every atom (n, 4), NaN where the natural atom is missing."""
    return (natural - built).square().sum(-1)


def bonded_geometry(backbone: Tensor) -> dict[str, Tensor]:
    """Bond lengths (Å) and angles (degrees) along a chain."""
    n, ca, c, o = backbone.unbind(1)
    following_n, following_ca = n[1:], ca[1:]
    omega = dihedral_angle(ca[:-1], c[:-1], following_n, following_ca)
    phi = dihedral_angle(c[:-1], following_n, following_ca, c[1:])
    angles = {
        "N-CA-C": bond_angle(n, ca, c),
        "CA-C-N": bond_angle(ca[:-1], c[:-1], following_n),
        "C-N-CA": bond_angle(c[:-1], following_n, following_ca),
        "CA-C-O": bond_angle(ca, c, o),
        "|omega|": omega.abs(),
    }
    lengths = {
        "N-CA": norm(ca - n),
        "CA-C": norm(c - ca),
        "C-N": norm(following_n - c[:-1]),
        "C-O": norm(o - c),
        "phi > 0 (share)": (phi > 0).to(phi).masked_fill(~torch.isfinite(phi), torch.nan),
    }
    return lengths | {name: torch.rad2deg(angle) for name, angle in angles.items()}


def print_errors(natural: list[Tensor], built: list[Tensor]) -> None:
    """RMSD by atom over all residues, and the spread over chains."""
    errors = [square_errors(a, b) for a, b in zip(natural, built, strict=True)]
    print("atoms      all residues   mean/chain   median/chain   90 % of chains under")
    for name, atoms in [*((k, [v]) for k, v in BUILT.items()), ("N, C, O", [N, C, O])]:
        pooled = torch.cat(errors)[:, atoms].nanmean().sqrt()
        each = torch.stack([error[:, atoms].nanmean().sqrt() for error in errors])
        print(
            f"{name:8s} {pooled:12.3f} {each.mean():12.3f} {each.median():12.3f} "
            f"{each.quantile(0.9):15.3f}"
        )
    all_four = torch.cat(errors).nanmean().sqrt()
    deviation = torch.cat(errors)[:, O].sqrt()
    print(f"N, CA, C, O {all_four:9.3f}")
    deviation = deviation[deviation.isfinite()]
    print(f"O farther than 2.5 Å (peptide flipped): {(deviation > 2.5).float().mean():.4f}")
    print(f"O median deviation: {deviation.median():.3f}")


def print_geometry(natural: list[Tensor], built: list[Tensor]) -> None:
    """Mean, spread and extremes of bonded geometry, natural beside rebuilt."""
    print("                 natural mean ± sd (0.1 % to 99.9 %)    rebuilt")
    tables = [[bonded_geometry(chain) for chain in group] for group in (natural, built)]
    for name in tables[0][0]:
        cells = []
        for table in tables:
            values = torch.cat([row[name] for row in table])
            values = values[values.isfinite()].double()
            low, high = np.quantile(values.numpy(), [0.001, 0.999])
            cells.append(f"{values.mean():8.3f} ± {values.std():6.3f} ({low:7.2f} {high:7.2f})")
        print(f"{name:16s} {cells[0]}   {cells[1]}")


def print_noise(natural: list[Tensor]) -> None:
    """What random displacement of CA does to the bonds."""
    print("CA noise Å   worst N-CA   worst CA-C   worst C-N   worst C-O   non-finite")
    generator = torch.Generator().manual_seed(1)
    for level in NOISE_LEVELS:
        worst, bad = [0.0] * 4, 0
        for chain in natural:
            noise = level * torch.randn(chain[:, CA].shape, generator=generator)
            noisy = backbone_from_ca(chain[:, CA] + noise)
            bad += int((~noisy.isfinite()).sum())
            geometry = bonded_geometry(noisy)
            linked = norm(noisy[1:, CA] - noisy[:-1, CA])
            linked = (linked > 2.5) & (linked < 4.25)
            for k, (name, ideal) in enumerate(
                (("N-CA", 1.459), ("CA-C", 1.525), ("C-N", 1.33), ("C-O", 1.232))
            ):
                values = geometry[name][linked] if name == "C-N" else geometry[name]
                worst[k] = max(worst[k], float((values - ideal).abs().max()))
        print(f"{level:8.2f} " + " ".join(f"{w:12.3f}" for w in worst) + f" {bad:8d}")


def print_speed(repeats: int) -> None:
    """Milliseconds per call on a helix-like trace, best of several."""
    for num_residues in (64, 128, 300, 1000):
        index = torch.arange(num_residues)
        angle = index * math.radians(100)
        ca = torch.stack([2.3 * torch.cos(angle), 2.3 * torch.sin(angle), 1.5 * index], dim=1)
        times = []
        for _ in range(repeats):
            start = time.perf_counter()
            backbone_from_ca(ca)
            times.append(time.perf_counter() - start)
        print(f"{num_residues:6d} residues: {1000 * min(times):.2f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("structures", type=Path)
    parser.add_argument("--split", default="test")
    parser.add_argument("--repeats", type=int, default=200, help="calls timed for each length")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    natural = list(chains(arguments.structures, arguments.split))
    built = [backbone_from_ca(chain[:, CA]) for chain in natural]
    print(f"{len(natural)} chains, {sum(map(len, natural))} residues, split {arguments.split}")
    print_errors(natural, built)
    print_geometry(natural, built)
    print_noise(natural)
    print_speed(arguments.repeats)


if __name__ == "__main__":
    main()
