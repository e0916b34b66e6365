"""From a table of peptides to weights, through the command line: killed, taken up, the same."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import yaml

from foldwright.cli.main import main
from foldwright.models.peptide.weights import PeptideCard, load_peptide_weights
from foldwright.runtime.weight_files import read_weights
from foldwright.sequence.residues import RESIDUES

SOURCE = Path(__file__).resolve().parents[2] / "src"
MODEL = {
    "max_length": 16,
    "encoder": {"channels": 16, "num_layers": 1, "num_heads": 2},
    "denoiser": {"channels": 16, "num_layers": 1, "num_heads": 2, "expansion": 2},
    "decoder": {"channels": 16},
    "diffusion": {"num_steps": 20},
}
TRAINING = {"max_steps": 6, "log_every": 1, "validate_every": 3, "device": "cpu"}


def write_table(path: Path, num: int = 60) -> None:
    numbers = np.random.default_rng(0)
    lines = ["sequence,antimicrobial,antifungal,antiviral,toxic"]
    for k in range(num):
        letters = "".join(RESIDUES[i] for i in numbers.integers(0, 20, 5 + k % 12))
        lines.append(f"{letters},{1 if k % 2 else 0},,{'1' if k % 3 else ''},{k % 2}")
    path.write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store, a trained encoder and the settings of both stages."""
    out = tmp_path_factory.mktemp("peptides")
    write_table(out / "table.csv")
    prepare = ["data", "prepare-peptides", str(out / "table.csv"), "--out", str(out / "store")]
    assert main([*prepare, "--val-share", "0.2"]) == 0
    common = {"store": str(out / "store"), "model": MODEL}
    schedule = {"schedule": {"warmup_steps": 0}}
    settings = {
        "encoder": {**common, "stage": "encoder", "training": TRAINING | schedule},
        "one": {
            **common,
            "stage": 1,
            "encoder_weights": str(out / "encoder/last.safetensors"),
            "peptides": {"max_batch": 8},
            "training": TRAINING,
        },
    }
    for name, content in settings.items():
        (out / f"{name}.yaml").write_text(yaml.safe_dump(content))
    assert train(out, "encoder", out / "encoder") == 0
    return out


def train(folder: Path, name: str, out: Path, *words: str) -> int:
    return main(["train", "peptide", str(folder / f"{name}.yaml"), *words, "--out", str(out)])


@pytest.fixture(scope="module")
def run(folder: Path) -> Path:
    assert train(folder, "one", folder / "whole") == 0
    return folder / "whole"


def test_a_run_leaves_weights_their_story_and_its_course(run: Path) -> None:
    model = load_peptide_weights(run / "last.safetensors")
    assert model.labels == ("antimicrobial", "antifungal", "antiviral", "toxic")
    assert model.length_counts[-1].sum() > 30
    assert model.latent_std.min() > 0
    assert model.seen is not None
    assert len(model.seen.digests) == model.length_counts[-1].sum()
    card, _ = read_weights(PeptideCard, run / "last.safetensors")
    assert card.provenance["step"] == 6
    assert "table.csv, SHA-256" in card.provenance["data"]
    assert card.provenance["experiment"]["training"]["optimiser"]["weight_decay"] == 1e-5
    assert card.provenance["experiment"]["training"]["accumulation"] == 2
    course = json.loads((run / "training_metrics.json").read_text())
    assert [row["step"] for row in course["train"]] == [1, 2, 3, 4, 5, 6]
    assert [row["step"] for row in course["validation"]] == [3, 6]
    assert course["validation"][0].keys() >= {"loss", "error", "residue", "decoder"}
    assert course["train"][-1]["learning_rate"] == pytest.approx(1e-6)


def test_a_killed_run_goes_on_to_the_same_weights(folder: Path, run: Path, tmp_path: Path) -> None:
    out = tmp_path / "killed"
    command = [
        *(sys.executable, "-m", "foldwright", "train", "peptide", str(folder / "one.yaml")),
        *("training.checkpoint.every_steps=1", "--out", str(out)),
    ]
    process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(SOURCE)})
    try:
        deadline = time.monotonic() + 300
        while not (out / "checkpoints/step_00000002").exists():
            assert process.poll() is None or (out / "checkpoints/step_00000002").exists()
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert train(folder, "one", out) == 0
    for name in ("last.safetensors", "best.safetensors"):
        assert (out / name).read_bytes() == (run / name).read_bytes()


def test_stages_two_and_three_go_on_from_weights(folder: Path, run: Path, tmp_path: Path) -> None:
    start = f"start_weights={run / 'last.safetensors'}"
    for stage in ("2", "3"):
        out = tmp_path / stage
        assert train(folder, "one", out, f"stage={stage}", start, "encoder_weights=null") == 0
        settings = yaml.safe_load((out / "config.yaml").read_text())
        assert settings["peptides"]["structures"] is True
        assert settings["training"]["optimiser"]["learning_rate"] == (
            1e-4 if stage == "2" else 5e-5
        )
        before = load_peptide_weights(run / "last.safetensors")
        after = load_peptide_weights(out / "last.safetensors")
        same = all(
            (value == after.encoder.state_dict()[name]).all()
            for name, value in before.encoder.state_dict().items()
        )
        assert same == (stage == "2")
        assert (before.latent_mean == after.latent_mean).all() == (stage == "2")


def test_export_writes_either_checkpoint(run: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "w.safetensors"
    assert main(["train", "export-peptide", str(run), "--which", "last", "--out", str(out)]) == 0
    assert out.read_bytes() == (run / "last.safetensors").read_bytes()
    assert main(["train", "export-peptide", str(tmp_path), "--out", str(out)]) == 2
    assert "not a run of `foldwright train peptide`" in capsys.readouterr().err


def test_trained_weights_make_peptides_that_are_scored(run: Path, tmp_path: Path, capsys) -> None:
    made, scores = tmp_path / "made", tmp_path / "scores"
    words = "--activity antimicrobial --not toxic --num 8 --guidance 2 --steps 4 --seed 3"
    weights = ["--weights", str(run / "last.safetensors"), "--classifier", "none"]
    command = ["peptide", *words.split(), *weights, "--device", "cpu", "--json"]
    assert main([*command, "--out", str(made)]) == 0
    rows = json.loads(capsys.readouterr().out)["peptides"]
    assert all(5 <= len(row["sequence"]) == row["length"] <= 16 for row in rows)
    table = str(run.parent / "table.csv")
    judge = ["--reference", table, "--classifier", "none", "--out", str(scores), "--json"]
    assert main(["evaluate", str(made / "peptides.fasta"), *judge]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["peptides"] == 8
    assert any(path.suffix == ".csv" for path in scores.iterdir())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["encoder_weights=null"], "encoder_weights: is missing: diffusion needs a trained"),
        (["encoder_weights=none.safetensors"], "none.safetensors: no such weight file"),
        (["model.encoder.channels=32"], "model.encoder.channels: is 32, but"),
        (["model.max_length=20"], "model.max_length: is 20, but"),
        (["stage=4"], "stage"),
        (["model.denoiser.chanels=8"], "did you mean model.denoiser.channels?"),
        (["model.denoiser.channels=18"], "must be a multiple of twice num_heads"),
        (["conditioning.main_labels=[antiviral, bitter]"], "bitter: no such label"),
        (["store=nowhere"], "nowhere: is no peptide store"),
    ],
)
def test_bad_settings_are_named(folder: Path, tmp_path: Path, capsys, words, message) -> None:
    assert train(folder, "one", tmp_path / "out", *words) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_table_of_bad_rows_is_refused_or_sifted(tmp_path: Path, capsys) -> None:
    table = tmp_path / "bad.csv"
    table.write_text("sequence,toxic\nKKLLKK,1\nKKXLLK,0\nACDEF,maybe\n")
    command = ["data", "prepare-peptides", str(table), "--out", str(tmp_path / "store")]
    assert main(command) == 2
    error = capsys.readouterr().err
    assert "line 3: residue 3 of KKXLLK is 'X'" in error
    assert "line 4: column toxic has 'maybe'" in error
    assert not (tmp_path / "store").exists()
    assert main([*command, "--skip-bad-rows", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert (record["peptides"], record["rejected"]) == (1, 2)
    assert len((tmp_path / "store/rejects.csv").read_text().splitlines()) == 3


def test_dna_in_a_table_of_peptides_is_left_out_on_demand(tmp_path: Path, capsys) -> None:
    table = tmp_path / "mixed.csv"
    table.write_text("sequence,toxic\nKKLLKK,1\nACCACACCGT,0\n")
    command = ["data", "prepare-peptides", str(table), "--json", "--out"]
    assert main([*command, str(tmp_path / "all")]) == 0
    assert json.loads(capsys.readouterr().out)["peptides"] == 2
    assert main([*command, str(tmp_path / "proteins"), "--drop-dna"]) == 0
    assert json.loads(capsys.readouterr().out)["peptides"] == 1
    assert "ACCACACCGT" in (tmp_path / "proteins/rejects.csv").read_text()
