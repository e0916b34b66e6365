"""What a network says about an input, under the names of the reference numbers of the families."""

import gzip
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from foldwright.models.fold.family_inputs import family_inputs
from foldwright.models.fold.inputs import FoldInputs
from foldwright.models.fold.network.fold_network import FoldNetwork
from foldwright.models.fold.network.workspace import Workspace
from foldwright.models.fold.predict import run_trunk
from tests.models.fold.mixed_input import seeded_normal

FAMILY_GOLDENS = Path(__file__).resolve().parents[2] / "golden" / "fold_families"
LEVELS = (0.5, 300.0)
PASSES = 2


def noisy_positions(inputs: FoldInputs, level: float) -> Tensor:
    """Positions of all slots at a noise level, Å."""
    return level * seeded_normal("noisy", *inputs.reference.real.shape, 3)


def scored_positions(inputs: FoldInputs) -> Tensor:
    """Positions of all slots for the scores, Å."""
    return 8 * seeded_normal("positions", *inputs.reference.real.shape, 3)


@torch.no_grad()
def our_results(network: FoldNetwork, inputs: FoldInputs) -> dict[str, Tensor]:
    """Run every part once: passes of the trunk, denoising at two levels, scores.

    Of atoms there are the real ones, one after another.
    """
    inputs = family_inputs(inputs, network.config.differences)
    work, real = Workspace(), inputs.reference.real
    rows = torch.arange(len(inputs.alignment.rows))
    trunk = run_trunk(network, inputs, [rows] * PASSES, work)
    parts = (trunk.target, trunk.pair, trunk.single)
    found = {"pair": trunk.pair, "single": trunk.single}
    conditioning = network.diffusion.condition(inputs, *parts, work, keep_logits=True)
    for level in LEVELS:
        noisy = noisy_positions(inputs, level)[None]
        denoised = network.diffusion(inputs, conditioning, noisy, torch.tensor(level), work)
        found[f"denoised {level}"] = denoised[0][real]
    scores = network.confidence(inputs, scored_positions(inputs), *parts, work)
    return found | {
        "lddt": scores.lddt[real],
        "resolved": scores.resolved[real],
        "aligned error": scores.aligned_error,
        "distance error": scores.distance_error,
        "distogram": network.distogram(trunk.pair),
    }


def expected_scores(logits: dict[str, Tensor]) -> dict[str, Tensor]:
    """Expectations over the bins of logits that are called as in `our_results`."""
    bins = {name: torch.softmax(values, dim=-1) for name, values in logits.items()}
    errors = 0.25 + 0.5 * torch.arange(64)
    return {
        "lddt": bins["lddt"] @ (100 * (torch.arange(50) + 0.5) / 50),
        "resolved": bins["resolved"][:, 1],
        "aligned error": bins["aligned error"] @ errors,
        "distance error": bins["distance error"] @ errors,
    }


def kept_results(found: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What is kept of results as reference numbers: of values per pair, a few rows."""
    wide = {name for name, values in found.items() if values.ndim == 3}
    return {name: values[::8] if name in wide else values for name, values in found.items()}


def write_goldens(
    family: str,
    results: Mapping[str, Tensor],
    reduced: Mapping[str, list[int]],
    released: Mapping[str, list[int]],
) -> None:
    """Keep results, and names and shapes of the reduced and of the released network."""
    write_results(family, results)
    names = json.dumps({"reduced": reduced, "released": released}, separators=(",", ":"))
    packed = gzip.compress(names.encode(), compresslevel=9, mtime=0)
    (FAMILY_GOLDENS / f"{family}_names.json.gz").write_bytes(packed)


def write_results(family: str, results: Mapping[str, Tensor]) -> None:
    """Keep results."""
    FAMILY_GOLDENS.mkdir(exist_ok=True)
    kept = {name: values.numpy() for name, values in kept_results(results).items()}
    np.savez_compressed(FAMILY_GOLDENS / f"{family}.npz", **kept)


def stored_results(family: str) -> dict[str, Tensor]:
    """Results of a family's own package."""
    with np.load(FAMILY_GOLDENS / f"{family}.npz", allow_pickle=False) as stored:
        return {name: torch.from_numpy(stored[name]) for name in stored.files}


def stored_shapes(family: str, size: str) -> dict[str, list[int]]:
    """Names and shapes of the package's parameters: `reduced` or `released`."""
    packed = (FAMILY_GOLDENS / f"{family}_names.json.gz").read_bytes()
    shapes: dict[str, list[int]] = json.loads(gzip.decompress(packed))[size]
    return shapes
