"""StructDiff's YAML keys and script options as ours."""

from pathlib import Path

import pytest

from foldwright.models.peptide.import_structdiff import (
    StructDiffSettings,
    read_structdiff_settings,
)
from foldwright.models.peptide.structdiff_calls import translate_call
from foldwright.runtime.errors import InputError

SETTINGS = """\
experiment: {name: run, seed: 42}
model:
  sequence_encoder: {pretrained_model: facebook/esm2_t6_8M_UR50D, freeze_encoder: true}
  structure_encoder: {hidden_dim: 256}
  denoiser: {hidden_dim: 320, num_layers: 8, num_heads: 8, dropout: 0.1}
diffusion: {num_timesteps: 500, noise_schedule: sqrt, beta_start: 0.0001, sampling_method: pndm}
separated_training:
  stage1: {epochs: 200, batch_size: 32, learning_rate: 1e-4, warmup_steps: 10}
  stage2: {epochs: 100}
data: {train_file: train.csv, use_predicted_structures: true, max_length: 50}
length_control: {min_length: 8, max_length: 30}
classifier_free_guidance: {dropout_prob: 0.1, guidance_scale: 2.5, guidance_schedule: cosine}
training_enhancements: {use_amp: true, amp_dtype: bfloat16, use_ema: false, ema_decay: 0.99}
"""


def _read(tmp_path: Path, text: str = SETTINGS) -> StructDiffSettings:
    path = tmp_path / "structdiff.yaml"
    path.write_text(text)
    return read_structdiff_settings(path)


def test_keys_find_their_places(tmp_path: Path) -> None:
    found = _read(tmp_path)
    model = found.values["model"]
    assert model["encoder"] == {
        "checkpoint": "facebook/esm2_t6_8M_UR50D",
        "adaptation": "frozen",
        "kind": "esm2",
    }
    assert model["denoiser"] == {
        "channels": 320,
        "num_layers": 8,
        "num_heads": 8,
        "dropout": 0.1,
        "preset": "structdiff",
    }
    assert model["diffusion"] == {
        "num_steps": 500,
        "schedule": "structdiff_sqrt",
        "prediction": "epsilon",
        "self_conditioning": False,
    }
    assert model["max_length"] == 50
    training = found.values["training"]
    assert training["optimiser"]["learning_rate"] == 1e-4
    assert (training["precision"], training["ema"]) == ("bf16", {"decay": 0.0})
    assert found.values["stage"] == 2
    assert found.values["peptides"] == {"max_batch": 32, "max_tokens": None}
    assert found.values["conditioning"] == {"drop_all": 0.1}
    assert (found.epochs, training["seed"]) == (200, 42)
    assert found.peptide_options == {
        "--sampler": "dpm",
        "--length": "8-30",
        "--guidance": "2.5",
        "--guidance-schedule": "cosine",
    }


def test_every_key_without_effect_is_reported_with_a_reason(tmp_path: Path) -> None:
    lines = _read(tmp_path, SETTINGS + "colour: red\ndiffusions: {num_timestep: 3}\n")
    keys = {line.split()[0]: line.partition(": ")[2] for line in lines.without_effect}
    assert set(keys) == {
        "experiment.name",
        "model.structure_encoder.hidden_dim",
        "separated_training.stage1.warmup_steps",
        "separated_training.stage2.epochs",
        "data.train_file",
        "colour",
        "diffusions.num_timestep",
    }
    assert keys["colour"] == "unknown key"
    assert keys["diffusions.num_timestep"] == "unknown key; did you mean diffusion.num_timesteps?"
    assert "reads it nowhere" in keys["separated_training.stage1.warmup_steps"]
    assert "prepare-peptides" in keys["data.train_file"]


@pytest.mark.parametrize(
    ("encoder", "adaptation"),
    [
        ("{freeze_encoder: true, use_lora: true}", "lora"),
        ("{freeze_encoder: false}", "unfrozen"),
        ("{use_lora: false}", "frozen"),
    ],
)
def test_what_moves_the_encoder(tmp_path: Path, encoder: str, adaptation: str) -> None:
    found = _read(tmp_path, f"model: {{sequence_encoder: {encoder}}}\n")
    assert found.values["model"]["encoder"]["adaptation"] == adaptation


def test_other_betas_are_reported(tmp_path: Path) -> None:
    found = _read(tmp_path, "diffusion: {beta_start: 0.0001, beta_end: 0.05}\n")
    assert found.without_effect == [
        "diffusion.beta_end 0.05: schedules have fixed ends; here it is 0.02"
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("diffusion: {noise_schedule: alphafold3}\n", "diffusion.noise_schedule: found 'alphafold"),
        (
            "diffusion: {sampling_method: magic}\n",
            "sampling_method: found 'magic', expected one of",
        ),
        (
            "separated_training: {stage1: {epochs: many}}\n",
            "epochs: found 'many', expected a whole",
        ),
        ("", "holds no settings"),
        ("[1, 2]\n", "holds no settings"),
    ],
)
def test_values_that_mean_nothing_are_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        _read(tmp_path, text)


@pytest.mark.parametrize(
    ("call", "ours"),
    [
        (
            "python scripts/generate.py --num_samples 100 --peptide_type antiviral --length 20 "
            "--guidance_scale=2 --seed 7 --output out",
            "foldwright peptide --num 100 --activity antiviral --length 20 --guidance 2 --seed 7 "
            "--out out",
        ),
        (
            "scripts/generate.py --peptide_type random --min_length 10 --max_length 30",
            "foldwright peptide --length 10-30",
        ),
        ("structdiff-generate --target_structure HHHCC", "foldwright peptide --secondary HHHCC"),
        (
            "scripts/train_separated.py --config c.yaml --output-dir out --stage1-lr 1e-4",
            "foldwright train peptide c.yaml --out out training.optimiser.learning_rate=1e-4",
        ),
        (
            "scripts/evaluate.py --peptides made.fasta --reference train.csv",
            "foldwright evaluate made.fasta --reference train.csv",
        ),
        (
            "preprocess_data.py --input t.csv --output_dir store --min_length 5 --max_length 50",
            "foldwright data prepare-peptides t.csv --out store --min-length 5 --max-length 50",
        ),
    ],
)
def test_calls_of_scripts(call: str, ours: str) -> None:
    found = translate_call(call.split())
    assert " ".join(found.words) == ours
    assert not found.without_effect


def test_options_without_effect_are_reported() -> None:
    call = "generate.py --checkpoint a.pth --batch_size 4 --num_sample 3 --model.hidden_dim 512"
    found = translate_call(call.split())
    assert found.words == ("foldwright", "peptide")
    reasons = {line.split()[0]: line for line in found.without_effect}
    assert set(reasons) == {"--checkpoint", "--batch_size", "--num_sample", "--model.hidden_dim"}
    assert "did you mean --num_samples?" in reasons["--num_sample"]
    assert "config import" in reasons["--model.hidden_dim"]


def test_other_programs_are_refused() -> None:
    with pytest.raises(InputError, match="is no script of StructDiff"):
        translate_call(["python", "scripts/stage_controller.py"])
    with pytest.raises(InputError, match="is no script of StructDiff"):
        translate_call([])
