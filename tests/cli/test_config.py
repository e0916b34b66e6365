"""`foldwright config import`: settings of Genie as settings of a training run."""

import json
from pathlib import Path

import pytest
import yaml

from foldwright.cli.backbone_experiment import BackboneExperiment
from foldwright.cli.main import main
from foldwright.models.backbone.config import DiffusionConfig, GenieConfig
from foldwright.runtime.config import load_config
from tests.models.backbone.chain_stores import make_store

GENIE = """\
name scope
logDirectory runs
dataDirectory data
datasetNames scope,other
maximumNumResidues 128
minimumNumResidues 20
numStructureLayers 6
numTimesteps 500
seed 100
numEpoches 50
batchSize 32
learningRate 2e-4
logEverySteps 10
checkpointEveryEpoches 5
datasetSize 65
datasetClasses None
numStructureLayers 7 # seven
colour red
"""


@pytest.fixture
def old(tmp_path: Path) -> Path:
    path = tmp_path / "configuration"
    path.write_text(GENIE)
    return path


def convert(old: Path, *words: str) -> int:
    out, store = old.with_name("config.yaml"), old.with_name("store")
    return main(["config", "import", str(old), "--out", str(out), "--store", str(store), *words])


def test_run_settings_find_their_counterparts(old: Path) -> None:
    assert convert(old) == 0
    found = load_config(BackboneExperiment, old.with_name("config.yaml"))
    assert found.genie == GenieConfig(max_length=128, num_structure_layers=6)
    assert found.diffusion == DiffusionConfig(num_steps=500)
    assert found.store == old.with_name("store")
    assert (found.chains.min_length, found.chains.max_batch) == (20, 32)
    assert not found.chains.one_per_cluster
    training = found.training
    assert (training.seed, training.log_every) == (100, 10)
    assert training.optimiser.learning_rate == 2e-4
    assert (training.checkpoint.every_epochs, training.checkpoint.every_steps) == (5, None)
    assert (training.gradient_clip, training.ema.decay) == (None, 0.0)
    assert training.max_steps == 50 * 3  # 65 chains are two batches of 32 and a small one


def test_every_line_without_effect_is_reported(old: Path, capsys) -> None:
    assert convert(old, "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["steps"] == 150
    lines = [row["without_effect"] for row in answer["lines"]]
    assert lines[:2] == [
        "line 17: 4 words instead of `key value`: 'numStructureLayers 7 # seven'",
        "unknown key colour",
    ]
    keys = [line.split()[0] for line in lines[2:]]
    assert keys == ["name", "logDirectory", "dataDirectory", "datasetNames", "datasetSize"]


def test_report_for_people_names_the_lines(old: Path, capsys) -> None:
    assert convert(old) == 0
    page = capsys.readouterr().out
    for words in ("config.yaml", "unknown key colour", "line 17", "import-legacy"):
        assert words in page


def test_keys_with_a_counterpart_are_not_reported(old: Path, capsys) -> None:
    assert convert(old, "--json") == 0
    lines = " ".join(r["without_effect"] for r in json.loads(capsys.readouterr().out)["lines"])
    for key in ("seed", "learningRate", "batchSize", "numEpoches", "logEverySteps"):
        assert key not in lines
    for key in ("minimumNumResidues", "maximumNumResidues", "checkpointEveryEpoches"):
        assert key not in lines


def test_chains_of_a_store_count_before_the_size_in_the_file(old: Path) -> None:
    make_store(old.with_name("store"), {"train": [12, 16, 20], "val": [14]})
    old.write_text(GENIE.replace("batchSize 32", "batchSize 2"))
    assert convert(old) == 0
    written = yaml.safe_load(old.with_name("config.yaml").read_text())
    assert written["training"]["max_steps"] == 50 * 2


def test_named_steps_win(old: Path) -> None:
    old.write_text("name x\n")
    assert convert(old, "--max-steps", "7") == 0
    found = load_config(BackboneExperiment, old.with_name("config.yaml"))
    assert found.training.max_steps == 7
    assert found.chains.min_length == 4


def test_unknown_number_of_steps_is_refused(old: Path, capsys) -> None:
    old.write_text("name x\nnumEpoches many\n")
    assert convert(old) == 2
    errors = capsys.readouterr().err
    assert "numEpoches: found 'many', expected a whole number above 0" in errors
    assert "batchSize: is missing; or give --max-steps" in errors
    assert "no such store, so the steps of an epoch are not known" in errors
    assert not old.with_name("config.yaml").exists()


def test_wrong_run_values_are_errors_together(old: Path, capsys) -> None:
    text = GENIE.replace("seed 100", "seed x").replace("learningRate 2e-4", "learningRate -1")
    old.write_text(text)
    assert convert(old) == 2
    errors = capsys.readouterr().err
    assert "training.seed: found 'x'" in errors
    assert "training.optimiser.learning_rate: found '-1'" in errors


def test_existing_file_is_kept(old: Path, capsys) -> None:
    out = old.with_name("config.yaml")
    out.write_text("mine")
    assert convert(old) == 2
    assert "exists already; name another file with --out" in capsys.readouterr().err
    assert out.read_text() == "mine"


def test_absent_file(tmp_path: Path, capsys) -> None:
    assert convert(tmp_path / "configuration") == 2
    assert "is no readable text file" in capsys.readouterr().err
