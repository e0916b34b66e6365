"""`foldwright train classifier`: stopped and taken up, measured, and used."""

import json
from pathlib import Path

import pytest
import yaml

from foldwright.cli.main import main
from foldwright.models.peptide.classifier import ClassifierCard, load_classifier
from foldwright.runtime.weight_files import read_card
from tests.evaluation.peptides.sample_peptides import draw


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Peptides of K and L are active, those of D and S are not; nothing is known of `rare`."""
    folder = tmp_path_factory.mktemp("classifier")
    rows = ["sequence,split,active,rare"]
    seen: set[str] = set()
    for split, count in (("train", 60), ("val", 25), ("test", 15)):
        for letters, label in (("KL", 1), ("DS", 0)):
            drawn = draw(count, letters, name=f"{split} {letters}", low=12)
            rows += [f"{one},{split},{label}," for one in drawn if one not in seen]
            seen |= set(drawn)
    (folder / "table.csv").write_text("\n".join(rows) + "\n")
    words = [str(folder / "table.csv"), "--out", str(folder / "store"), "--json"]
    assert main(["data", "prepare-peptides", *words]) == 0
    content = {
        "store": str(folder / "store"),
        "network": {"channels": 8, "num_layers": 1, "hidden": 8},
        "training": {
            "max_steps": 30,
            "validate_every": 10,
            "log_every": 5,
            "device": "cpu",
            "optimiser": {"learning_rate": 0.02},
            "ema": {"decay": 0.5},
        },
    }
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def train(config: Path, out: Path, *words: str) -> int:
    return main(["train", "classifier", str(config), *words, "--out", str(out), "--json"])


@pytest.fixture(scope="module")
def run(config: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "whole"
    assert train(config, out) == 0
    return out


def test_it_learns_and_its_card_says_how_well(run: Path) -> None:
    card = read_card(ClassifierCard, run / "classifier.safetensors")
    (quality,) = card.quality
    assert quality.label == "active"
    assert quality.auc > 0.99
    assert quality.recall > 0.9
    assert quality.false_positives < 0.3
    assert (quality.positives, quality.negatives) == (15, 15)
    assert quality.train_positives + quality.train_negatives == 120
    assert card.unlearned == {"rare": "0 peptides with a 1 and 0 with a 0 to learn from"}
    assert card.provenance["peptides"] == {"train": 120, "val": 50, "test": 30}
    chances = load_classifier(run / "classifier.safetensors").predict(["KLKKLLKKLKL", "DSSDSDSDDS"])
    assert chances["active"][0] > 0.8 > 0.2 > chances["active"][1]


def test_the_card_holds_no_sequence(config: Path, run: Path) -> None:
    text = (run / "classifier.json").read_text()
    table = (config.parent / "table.csv").read_text().splitlines()[1:]
    assert not any(line.split(",")[0] in text for line in table)
    assert str(config.parent) not in text


def test_a_stopped_run_goes_on_to_the_same_weights(config, run, tmp_path, capsys) -> None:
    out = tmp_path / "run"
    assert train(config, out, "training.max_minutes=1e-9") == 0
    stopped = json.loads(capsys.readouterr().out)
    assert stopped["status"] == "out of time"
    assert "weights" not in stopped
    assert not (out / "classifier.safetensors").exists()
    assert train(config, out) == 0
    assert json.loads(capsys.readouterr().out)["status"] == "finished"
    name = "classifier.safetensors"
    assert (out / name).read_bytes() == (run / name).read_bytes()


def test_a_table_without_zeros_is_refused(config: Path, tmp_path: Path, capsys) -> None:
    table = tmp_path / "ones.csv"
    table.write_text("sequence,split,active\nKLKLKL,train,1\nKLKLKK,val,1\n")
    assert main(["data", "prepare-peptides", str(table), "--out", str(tmp_path / "store")]) == 0
    capsys.readouterr()
    assert train(config, tmp_path / "run", f"store={tmp_path / 'store'}") == 2
    assert "has no label with 20 ones and zeros in the split train" in capsys.readouterr().err
