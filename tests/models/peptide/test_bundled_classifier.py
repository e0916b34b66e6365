"""The classifier in the package: documented, and as good as its card says."""

import csv
import gzip
import re
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from foldwright.evaluation.peptides.ranking import roc_auc
from foldwright.models.peptide.classifier import (
    BUNDLED_CLASSIFIER,
    ClassifierCard,
    load_classifier,
)
from foldwright.runtime.weight_files import read_card
from tests.evaluation.peptides.sample_peptides import MAGAININ

FOLDER = resources.files("foldwright.models.peptide") / "bundled"
MELITTIN = "GIGAVLKVLTTGLPALISWIKRKRQQ"


def test_the_card_says_what_it_is_worth_and_holds_no_peptide() -> None:
    with resources.as_file(FOLDER / f"{BUNDLED_CLASSIFIER}.safetensors") as path:
        card = read_card(ClassifierCard, path)
        assert path.stat().st_size <= 3e6
        text = path.with_suffix(".json").read_text()
    found = {one.label: one for one in card.quality}
    assert found["antimicrobial"].auc > 0.90
    assert found["antifungal"].auc > 0.91
    assert found["antiviral"].auc > 0.86
    assert card.provenance["licence"] == "Apache-2.0"
    assert "antibiofilm" in card.unlearned
    assert not re.search(r"\b[ACDEFGHIKLMNPQRSTVWY]{6,}\b", text)


def test_famous_peptides_are_active_and_acid_ones_are_not() -> None:
    model = load_classifier("bundled")
    threshold = {one.label: one.threshold for one in model.quality}
    found = model.predict([MAGAININ, MELITTIN, "DEDEEDDSEDGDEDE"])
    active = found["antimicrobial"] > threshold["antimicrobial"]
    assert active.tolist() == [True, True, False]
    assert found["hemolytic"][1] > threshold["hemolytic"]


def test_on_held_out_peptides_it_is_as_good_as_its_card_says(shared_data: Path) -> None:
    label = "antimicrobial"
    table = shared_data / "peptides" / "peptides.csv.gz"
    if not table.is_file():
        pytest.skip(f"no {table.name} in the shared data")
    with gzip.open(table, "rt", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "test" and row[label]][::3]
    model = load_classifier("bundled")
    chances = model.predict([row["sequence"] for row in rows])[label]
    area = roc_auc(np.array([row[label] == "1" for row in rows]), chances)
    said = next(one.auc for one in model.quality if one.label == label)
    assert area == pytest.approx(said, abs=0.03)
