"""`foldwright design` with a tiny random model: files, exit codes, resuming, refusals."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from foldwright.cli.main import main
from foldwright.models.backbone.config import DiffusionConfig, GenieConfig
from foldwright.models.backbone.model import BackboneModel
from foldwright.models.backbone.weights import save_weights
from foldwright.structure.io import read_structure


def _save_model(path: Path, *, last_bias: float = 0.0) -> Path:
    torch.manual_seed(0)
    genie = GenieConfig(
        max_length=48,
        c_s=8,
        c_p=8,
        c_position=8,
        c_timestep=8,
        num_pair_layers=1,
        c_triangle_multiplication=8,
        num_structure_layers=1,
        c_ipa=4,
        num_ipa_heads=2,
    )
    model = BackboneModel(genie, DiffusionConfig(num_steps=20))
    with torch.no_grad():
        list(model.parameters())[-1].add_(last_bias)
    save_weights(model, path, provenance={"made": "at random"})
    return path


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    return _save_model(tmp_path / "tiny.safetensors")


def _design(weights: Path, out: Path, *words: str) -> int:
    fixed = ["--weights", str(weights), "--out", str(out), "--device", "cpu", "--length", "24-40"]
    return main(["design", *fixed, *words])


def test_designs_are_written_and_printed(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert _design(weights, out, "--num", "2", "--steps", "4", "--seed", "7") == 0
    printed = capsys.readouterr().out
    assert "design_00001" in printed
    assert "helix" in printed
    assert str(out / "scores.csv") in printed.replace("\n", "")
    rows = list(csv.DictReader((out / "scores.csv").open()))
    for row in rows:
        for suffix in (".cif", ".pdb"):
            (chain,) = read_structure(out / f"{row['name']}{suffix}").protein_chains
            assert len(chain) == int(row["length"])
            assert bool(np.isfinite(chain.backbone()).all())
        assert 0 <= float(row["helix"]) <= 1


def test_running_again_adds_and_reports_as_json(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert _design(weights, out, "--num", "1", "--steps", "4") == 0
    first = (out / "design_00000.cif").read_bytes()
    capsys.readouterr()
    assert _design(weights, out, "--num", "2", "--steps", "4", "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["done"], result["failed"], result["there_before"]) == (2, 0, 1)
    assert [row["name"] for row in result["designs"]] == ["design_00000", "design_00001"]
    assert "contact_order" in result["designs"][0]
    assert (out / "design_00000.cif").read_bytes() == first


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--sampler", "ddim", "--noise-scale", "0.5"], "write --eta"),
        (["--sampler", "ode", "--eta", "0.5"], "ode is deterministic"),
        (["--steps", "21"], "must be between 1 and 20"),
        (["--num", "0"], "--num: must be 1 or more"),
        (["--length", "49"], "chains of up to 48 residues: got 49"),
        (["--length", "12"], "must be 20 residues or more"),
        (["--sampler", "euler"], "euler"),
        (["--steps", "many"], "many"),
        (["--device", "cuda:99"], "cuda:99"),
    ],
)
def test_bad_options_exit_with_two_and_say_what_to_write(
    weights: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    message: str,
) -> None:
    fixed = ["--weights", str(weights), "--out", str(tmp_path / "out"), "--device", "cpu"]
    last_wins = fixed[:4] if "--device" in words else fixed
    assert main(["design", *last_wins, *words]) == 2
    assert message in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "out").exists()


def test_other_settings_are_refused(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _design(weights, tmp_path / "out", "--steps", "4") == 0
    capsys.readouterr()
    assert _design(weights, tmp_path / "out", "--steps", "5", "--seed", "1") == 2
    errors = capsys.readouterr().err
    assert "steps 4, now it is 5" in errors
    assert "seed 0, now it is 1" in errors


def test_missing_weights_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _design(tmp_path / "none.safetensors", tmp_path / "out") == 2
    assert "no such weight file" in capsys.readouterr().err


def test_failed_designs_exit_with_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = _save_model(tmp_path / "broken.safetensors", last_bias=1e20)
    assert _design(broken, tmp_path / "out", "--steps", "4") == 1
    assert "not finite" in " ".join(capsys.readouterr().out.split())
    assert not list((tmp_path / "out").glob("*.pdb"))
