"""`foldwright peptide` with a tiny random model, and StructDiff's settings on the command line."""

import csv
import json
from pathlib import Path

import pytest

from foldwright.cli.main import main
from foldwright.cli.peptide_experiment import PeptideExperiment
from foldwright.models.peptide.weights import save_peptide_weights
from foldwright.runtime.config import load_config
from foldwright.sequence.fasta import read_fasta
from tests.models.peptide.mixture_model import random_model


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_peptide_weights(random_model(), path, provenance={"made": "at random"})
    return path


def _peptide(weights: Path, out: Path, *words: str, classifier: str = "none") -> int:
    fixed = ["--weights", str(weights), "--out", str(out), "--device", "cpu", "--steps", "4"]
    return main(["peptide", *fixed, "--classifier", classifier, *words])


def test_peptides_are_written_and_printed(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    words = "--activity antimicrobial --not hemolytic --length 8-12 --num 5 --guidance 2 --seed 7"
    assert _peptide(weights, out, *words.split()) == 0
    printed = capsys.readouterr().out
    assert "peptide_00004" in printed
    assert str(out / "peptides.csv") in printed.replace("\n", "")
    rows = list(csv.DictReader((out / "peptides.csv").open()))
    fasta = read_fasta(out / "peptides.fasta")
    assert [row["sequence"] for row in rows] == [one.sequence for one in fasta]
    for row in rows:
        assert len(row["sequence"]) == int(row["length"])
        assert -12 <= float(row["charge"]) <= 12
        assert 2 <= float(row["isoelectric_point"]) <= 14
        assert row["labels"] == "antimicrobial, not hemolytic"


def test_running_again_adds_and_reports_as_json(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert _peptide(weights, out, "--num", "3", "--length", "9") == 0
    first = (out / "peptides.fasta").read_text()
    capsys.readouterr()
    assert _peptide(weights, out, "--num", "5", "--length", "9", "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["done"], result["failed"], result["there_before"]) == (5, 0, 3)
    assert [row["length"] for row in result["peptides"]] == [9] * 5
    assert "instability" in result["peptides"][0]
    assert (out / "peptides.fasta").read_text().startswith(first)


def test_known_and_avoided_peptides_do_not_come_out(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--num", "12", "--template", "KKKKX", "--json", "--no-unique"]
    assert _peptide(weights, tmp_path / "first", *words) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["known_peptides"] == "let pass"
    found = {row["sequence"] for row in result["peptides"]}
    bad, avoid = tmp_path / "bad.csv", tmp_path / "avoid.csv"
    avoid.write_text("sequence\n" + "\n".join(sorted(found)[:1]) + "\n")
    assert _peptide(weights, tmp_path / "next", *words, "--avoid", str(avoid)) == 0
    result = json.loads(capsys.readouterr().out)
    assert sorted(found)[0] not in {row["sequence"] for row in result["peptides"]}
    assert result["drawn_again"]["peptides to avoid"] >= 1
    bad.write_text("sequence\nKLLX\n")
    assert _peptide(weights, tmp_path / "none", *words, "--avoid", str(bad)) == 2
    assert "residue 4 is 'X'" in " ".join(capsys.readouterr().err.split())
    assert _peptide(weights, tmp_path / "old", "--num", "1", "--length", "9", "--json") == 0
    assert "have no list" in json.loads(capsys.readouterr().out)["known_peptides"]


def test_a_classifier_adds_probabilities_and_its_worth(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--num", "2", "--length", "9", "--activity", "antifungal", "--json"]
    assert _peptide(weights, tmp_path, *words, classifier="bundled") == 0
    result = json.loads(capsys.readouterr().out)
    assert all(0 <= row["p_antifungal"] <= 1 for row in result["peptides"])
    assert 0.8 < result["held_out_auc_of_p"]["antifungal"] < 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--activity", "antifugal"], "did you mean antifungal?"),
        (["--guidance", "2"], "--guidance: has nothing to push towards"),
        (["--length", "60"], "know peptides of 5 to 24 residues: got 60"),
        (["--sampler", "dpm", "--churn", "1"], "--churn: is not read by the sampler dpm"),
        (["--template", "KXJ"], "--template: residue 3 of KXJ is 'J'"),
        (["--between", "KKKKK", "LLLLB"], "--between: residue 5 of LLLLB is 'B'"),
        (["--steps", "51"], "--steps: must be between 1 and 50"),
        (["--sampler", "euler"], "euler"),
        (["--num", "some"], "some"),
    ],
)
def test_bad_options_exit_with_two_and_say_what_to_write(
    weights: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    message: str,
) -> None:
    out = tmp_path / "out"
    fixed = ["--weights", str(weights), "--out", str(out), "--classifier", "none"]
    assert main(["peptide", *fixed, *words]) == 2
    assert message in " ".join(capsys.readouterr().err.split())
    assert not out.exists()


def test_other_settings_and_a_smaller_number_are_refused(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _peptide(weights, tmp_path, "--num", "3", "--length", "9") == 0
    capsys.readouterr()
    assert _peptide(weights, tmp_path, "--num", "3", "--length", "10", "--seed", "1") == 2
    errors = capsys.readouterr().err
    assert "started with length '9', now it is '10'" in errors
    assert "seed 0, now it is 1" in errors
    assert _peptide(weights, tmp_path, "--num", "2", "--length", "9") == 2
    assert "holds 3 peptides, --num asks for 2" in capsys.readouterr().err


def test_peptides_that_no_draw_gave_exit_with_one(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--num", "21", "--template", "KKKKX", "--attempts", "2"]
    assert _peptide(weights, tmp_path, *words) == 1
    assert "none of 2 draws was good" in " ".join(capsys.readouterr().out.split())
    assert len(read_fasta(tmp_path / "peptides.fasta")) <= 20


def test_missing_weights_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _peptide(tmp_path / "none.safetensors", tmp_path / "out") == 2
    assert "no such weight file" in capsys.readouterr().err


def test_structdiff_settings_become_a_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old, new = tmp_path / "old.yaml", tmp_path / "new.yaml"
    old.write_text(
        "model: {denoiser: {hidden_dim: 320, num_heads: 8}, structure_encoder: {hidden_dim: 2}}\n"
        "separated_training: {stage1: {epochs: 3, batch_size: 32}}\n"
        "classifier_free_guidance: {guidance_scale: 2.0}\n"
    )
    words = ["config", "import", str(old), "--out", str(new), "--store", str(tmp_path / "none")]
    assert main(words) == 2
    assert "no such store" in capsys.readouterr().err
    assert main([*words, "--max-steps", "500", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["generate"] == "foldwright peptide --guidance 2.0 --out peptides"
    assert [row["without_effect"].split()[0] for row in answer["lines"]] == [
        "model.structure_encoder.hidden_dim"
    ]
    found = load_config(PeptideExperiment, new)
    assert (found.model.denoiser.channels, found.model.encoder.kind) == (320, "esm2")
    assert (found.training.max_steps, found.peptides.max_batch) == (500, 32)


def test_structdiff_calls_are_translated(capsys: pytest.CaptureFixture[str]) -> None:
    call = "scripts/generate.py --num_samples 9 --peptide_type antiviral --checkpoint a.pth"
    assert main(["config", "translate", call, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["command"] == "foldwright peptide --num 9 --activity antiviral"
    assert answer["options"][0]["without_effect"].startswith("--checkpoint a.pth: StructDiff publi")
