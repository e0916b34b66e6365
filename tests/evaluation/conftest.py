"""Chains with known answers."""

from collections.abc import Callable
from math import radians
from pathlib import Path

import numpy as np
import pytest
import torch

from foldwright.chem.backbone_geometry import BOND_ANGLES, BOND_LENGTHS
from foldwright.evaluation.folder import FolderEvaluation, evaluate_folder
from foldwright.geometry.torsion import place_atom
from foldwright.structure.io import write_structure
from foldwright.structure.records import Chain, Structure

TraceMaker = Callable[..., torch.Tensor]


def build_trace(
    length: int, *, bond: float = 3.8, angle: float = 91.0, dihedral: float = 50.0
) -> torch.Tensor:
    points = [
        torch.tensor(point, dtype=torch.float64) for point in ((0.0, 0.0, 0.0), (bond, 0.0, 0.0))
    ]
    turn = radians(angle)
    third = [bond - bond * np.cos(turn), bond * np.sin(turn), 0.0]
    points.append(torch.tensor(third, dtype=torch.float64))
    while len(points) < length:
        points.append(place_atom(*points[-3:], length=bond, angle=turn, dihedral=radians(dihedral)))
    return torch.stack(points[:length]).float()


def build_backbone(length: int, phi: float, psi: float) -> torch.Tensor:
    """N, CA, C, O with ideal bonds and angles, one phi and psi (degrees), omega 180."""
    steps = (
        (("C", "N"), ("CA", "C", "N"), radians(psi)),
        (("N", "CA"), ("C", "N", "CA"), np.pi),
        (("CA", "C"), ("N", "CA", "C"), radians(phi)),
    )
    atoms = list(torch.tensor([[0.0, 1.459, 0.0], [0, 0, 0], [1.525, 0, 0]], dtype=torch.float64))
    # The first angle N-CA-C is what it is; the chain proper begins a residue later.
    for _ in range(length):
        for bond, angle, dihedral in steps:
            place = {"length": BOND_LENGTHS[bond], "angle": BOND_ANGLES[angle]}
            atoms.append(place_atom(*atoms[-3:], **place, dihedral=dihedral))
    backbone = torch.stack(atoms[3:]).reshape(length, 3, 3)
    oxygen = place_atom(
        *backbone.unbind(dim=1),
        length=BOND_LENGTHS["C", "O"],
        angle=BOND_ANGLES["CA", "C", "O"],
        dihedral=radians(psi) + np.pi,
    )
    return torch.cat([backbone, oxygen[:, None]], dim=1).float()


def chain_of(trace: torch.Tensor, chain_id: str = "A") -> Chain:
    """A chain with C-alpha only."""
    coords = np.full((len(trace), 4, 3), np.nan, dtype=np.float32)
    coords[:, 1] = trace.numpy()
    return Chain.from_backbone(coords, chain_id)


def write_trace(path: Path, trace: torch.Tensor) -> None:
    write_structure(Structure(path.stem, (chain_of(trace),)), path)


@pytest.fixture(scope="session")
def designs_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two helices with a full backbone, a C-alpha mirror helix, and a damaged file."""
    folder = tmp_path_factory.mktemp("evaluation") / "set <b>1&2"
    folder.mkdir()
    for name, length in (("one", 60), ("two", 70)):
        chain = Chain.from_backbone(build_backbone(length, -60, -45).numpy())
        for suffix in (".cif", ".pdb"):
            write_structure(Structure(name, (chain,)), folder / f"{name}{suffix}")
    write_trace(folder / "mirror <i>&'.pdb", build_trace(60, dihedral=-50))
    (folder / "damaged.pdb").write_text("no atoms <script>alert(1)</script>\n")
    return folder


@pytest.fixture(scope="session")
def evaluation(designs_folder: Path) -> FolderEvaluation:
    return evaluate_folder(designs_folder)
