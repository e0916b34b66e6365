"""`foldwright train`: a run through the command line, stopped and taken up, and its weights."""

import json
from pathlib import Path

import pytest
import torch
import yaml

from foldwright.cli.main import main
from foldwright.models.backbone.weights import BackboneCard, load_weights
from foldwright.runtime.weight_files import read_card
from foldwright.training.checkpoint import read_checkpoint
from tests.models.backbone.chain_stores import make_store

TINY = {
    "max_length": 32,
    **dict.fromkeys(("c_s", "c_p", "c_position", "c_timestep"), 8),
    "num_pair_layers": 1,
    "c_triangle_multiplication": 8,
    "num_structure_layers": 1,
    "c_ipa": 4,
    "num_ipa_heads": 2,
}


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("experiment")
    make_store(folder / "store", {"train": [12, 16, 20, 24], "val": [14, 18]})
    content = {
        "store": str(folder / "store"),
        "genie": TINY,
        "diffusion": {"num_steps": 20},
        "chains": {"min_length": 10, "max_batch": 2},
        "training": {"max_steps": 6, "log_every": 1, "validate_every": 2, "device": "cpu"},
    }
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def train(config: Path, out: Path, *words: str) -> int:
    return main(["train", "backbone", str(config), *words, "--out", str(out), "--json"])


@pytest.fixture(scope="module")
def run(config: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "whole"
    assert train(config, out) == 0
    return out


def test_a_stopped_run_goes_on_to_the_same_weights(config, run, tmp_path, capsys) -> None:
    out = tmp_path / "run"
    assert train(config, out, "training.max_minutes=1e-9") == 0
    assert json.loads(capsys.readouterr().out)["status"] == "out of time"
    assert train(config, out) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["status"], answer["step"], answer["chains"]) == ("finished", 6, 4)
    for name in ("last.safetensors", "best.safetensors"):
        assert (out / name).read_bytes() == (run / name).read_bytes()


def test_weights_are_the_means_and_the_card_tells_their_story(run: Path) -> None:
    means = read_checkpoint(run / "checkpoints/step_00000006").tensors["ema"]
    found = load_weights(run / "last.safetensors").state_dict()
    assert found.keys() == means.keys()
    assert all(torch.equal(found[name], means[name]) for name in means)
    card = read_card(BackboneCard, run / "last.safetensors")
    assert card.genie.model_dump().items() >= TINY.items()
    assert card.provenance["step"] == 6
    assert card.provenance["experiment"]["training"]["max_steps"] == 6
    assert "ca.npy" in card.provenance["store_files"]
    assert card.provenance["starts"][0]["device"]


def test_export_writes_either_checkpoint(run: Path, tmp_path: Path, capsys) -> None:
    for which in ("last", "best"):
        out = tmp_path / f"{which}.safetensors"
        assert main(["train", "export", str(run), "--which", which, "--out", str(out)]) == 0
        assert out.read_bytes() == (run / f"{which}.safetensors").read_bytes()
    assert main(["train", "export", str(tmp_path), "--out", str(tmp_path / "x.safetensors")]) == 2
    assert "not a run of `foldwright train backbone`" in capsys.readouterr().err


def test_training_can_begin_with_weights(config: Path, run: Path, tmp_path: Path, capsys) -> None:
    begin = f"start_weights={run / 'last.safetensors'}"
    words = (begin, "training.max_steps=1", "training.optimiser.learning_rate=1e-12")
    assert train(config, tmp_path / "run", *words) == 0
    before = load_weights(run / "last.safetensors").state_dict()
    after = load_weights(tmp_path / "run/last.safetensors").state_dict()
    assert all(torch.allclose(before[name], after[name], atol=1e-9) for name in before)
    capsys.readouterr()
    assert train(config, tmp_path / "other", begin, "genie.c_s=16") == 2
    assert "genie.c_s: is 16, but start_weights have 8" in capsys.readouterr().err


def test_other_settings_are_refused_with_their_names(config: Path, run: Path, capsys) -> None:
    words = ("chains.max_batch=1", "training.seed=4")
    assert train(config, run, *words) == 2
    error = capsys.readouterr().err
    assert "task.chains.max_batch = 2, now it is 1" in error
    assert "seed = 0, now it is 4" in error
    assert yaml.safe_load((run / "config.yaml").read_text())["chains"]["max_batch"] == 2


def test_unknown_settings_are_refused(config: Path, tmp_path: Path, capsys) -> None:
    assert train(config, tmp_path / "run", "training.max_step=4") == 2
    assert "did you mean training.max_steps?" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
