"""Settings and presets of the peptide model and its stages."""

import pytest
import torch

from foldwright.models.peptide.config import (
    EncoderConfig,
    PeptideConfig,
    PeptideDenoiserConfig,
)
from foldwright.models.peptide.denoiser import PeptideDenoiser
from foldwright.models.peptide.stages import fill_from_stage
from foldwright.runtime.config import load_config
from foldwright.runtime.errors import InputError


def test_a_preset_gives_what_is_not_written() -> None:
    seed = load_config(PeptideConfig, None, ["denoiser.preset=structdiff"]).denoiser
    assert (seed.num_layers, seed.channels, seed.num_heads) == (12, 768, 12)
    mixed = load_config(
        PeptideConfig, None, ["denoiser.preset=structdiff", "denoiser.num_layers=2"]
    )
    assert (mixed.denoiser.num_layers, mixed.denoiser.channels) == (2, 768)
    assert PeptideDenoiserConfig().channels == 160


def test_the_seeds_sizes_can_be_built() -> None:
    with torch.device("meta"):
        network = PeptideDenoiser(
            load_config(PeptideDenoiserConfig, None, ["preset=structdiff"]),
            latent_dim=320,
            num_labels=3,
            max_length=50,
            num_timesteps=1000,
            self_conditioning=True,
        )
    attention, transition = 4 * 768**2, 8 * 768**2
    modulation, structure = 6 * 768**2, 4 * 768**2
    blocks = 12 * (attention + transition + modulation + structure)
    found = sum(parameter.numel() for parameter in network.parameters())
    assert abs(found / blocks - 1.0) < 0.02


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("denoiser.channels=100", r"channels=100, num_heads=8; write channels=112"),
        ("encoder.num_heads=3", "channels of the encoder must be a multiple of twice num_heads"),
        ("encoder.adaptation=lora", "lora needs kind: esm2"),
        ("denoiser.preset=huge", "preset is 'huge'; expected small or structdiff"),
        ("diffusion.schedule=squareroot", "expected 'cosine'"),
    ],
)
def test_settings_that_make_no_sense(word, message) -> None:
    with pytest.raises(InputError, match=message):
        load_config(PeptideConfig, None, [word])


def test_lora_with_esm2_is_possible() -> None:
    assert EncoderConfig(kind="esm2", adaptation="lora").lora_rank == 16


def test_what_is_written_wins_over_the_stage() -> None:
    filled = fill_from_stage(
        {"stage": 3, "training": {"optimiser": {"learning_rate": 1.0}, "max_steps": 5}}, 1
    )
    assert filled["training"]["optimiser"] == {"learning_rate": 1.0, "weight_decay": 1e-5}
    assert filled["training"]["max_steps"] == 5
    assert filled["training"]["accumulation"] == 2
    assert filled["model"]["encoder"]["adaptation"] == "unfrozen"
    assert "structures" not in fill_from_stage({}, 1)["peptides"]
    assert fill_from_stage({"stage": 9, "store": "s"}, 1) == {"stage": 9, "store": "s"}
    # the presets themselves are not written to
    assert fill_from_stage({"stage": 3}, 1)["training"]["optimiser"]["learning_rate"] == 5e-5
