"""The weights in the package: complete, documented, and of some use."""

import math
from importlib import resources

import torch

from foldwright.models.backbone.weights import BUNDLED, BackboneCard, load_bundled
from foldwright.runtime.weight_files import read_card

FOLDER = resources.files("foldwright.models.backbone") / "bundled"


def helix(num_residues: int) -> torch.Tensor:
    """An ideal right-handed alpha helix: 100° and 1.5 Å per residue."""
    turn = math.radians(100) * torch.arange(num_residues)
    ca = torch.stack([2.3 * turn.cos(), 2.3 * turn.sin(), 1.5 * torch.arange(num_residues)], -1)
    return ca - ca.mean(0)


def test_the_card_says_where_the_weights_come_from() -> None:
    with resources.as_file(FOLDER / f"{BUNDLED}.safetensors") as path:
        provenance = read_card(BackboneCard, path).provenance
        assert path.stat().st_size <= 20e6
    assert provenance["licence"] == "Apache-2.0"
    assert {entry["shortest"] for entry in provenance["scores"]} == {64, 128}
    chains = (FOLDER / f"{BUNDLED}.chains.txt").read_text().split()
    assert len(chains) == len(set(chains)) > 1000
    assert (FOLDER / f"{BUNDLED}.metrics.csv").read_text().startswith("step,")


def test_noise_is_taken_off_a_helix_and_its_mirror_image_is_not_preferred() -> None:
    model = load_bundled()
    assert not model.training
    ca = helix(48)[None]
    timestep = torch.tensor([300])
    level = float(model.process.snr(timestep).rsqrt()) * model.coordinate_scale
    assert 1.0 < level < 4.0
    noise = torch.randn(ca.shape, generator=torch.Generator().manual_seed(0))
    noise = noise - noise.mean(1, keepdim=True)
    mask = torch.ones(1, 48, dtype=torch.bool)
    errors = {}
    for name, chain in (("right", ca), ("mirror", ca * torch.tensor([1.0, 1.0, -1.0]))):
        x = model.process.add_noise(chain / model.coordinate_scale, noise, timestep)
        with torch.inference_mode():
            clean = model.denoise(x, mask, timestep).x0 * model.coordinate_scale
        errors[name] = float((clean - chain).square().sum(-1).mean().sqrt())
    assert errors["right"] < 0.6 * math.sqrt(3) * level
    assert errors["right"] < errors["mirror"]
