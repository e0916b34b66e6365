"""`foldwright evaluate` on files of peptides."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from foldwright.cli.main import main
from foldwright.models.peptide.classifier import (
    ActivityClassifier,
    ClassifierConfig,
    LabelQuality,
    save_classifier,
)
from tests.evaluation.peptides.sample_peptides import draw_alternating


def alike(count: int, name: str) -> list[str]:
    return sorted(set(draw_alternating(2 * count, name=name)))[:count]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of real peptides, a file of new ones, and a classifier."""
    folder = tmp_path_factory.mktemp("peptides")
    rows = [("sequence", "split", "antimicrobial")]
    rows += [(one, "train", "1") for one in alike(60, "training")]
    taken = {one for one, *_ in rows}
    rows += [(one, "test_iid", "1") for one in alike(50, "unseen") if one not in taken]
    rows += [("DDDDDDDD", "test_iid", "0"), ("EEEEEEEEEE", "train", "")]
    (folder / "table.csv").write_text("".join(",".join(row) + "\n" for row in rows))
    new = [*alike(24, "new"), rows[1][0], rows[1][0]]
    records = [f">p{k} length={len(one)}\n{one}\n" for k, one in enumerate(new)]
    (folder / "new.fasta").write_text("".join(records))
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        model = ActivityClassifier(ClassifierConfig(channels=8, hidden=8), ("antimicrobial",))
    counts = {"train_positives": 5, "train_negatives": 6, "positives": 7, "negatives": 8}
    model.quality = (
        LabelQuality(
            label="antimicrobial",
            threshold=0.0,
            auc=0.875,
            recall=1.0,
            false_positives=1.0,
            **counts,
        ),
    )
    save_classifier(model, folder / "judge.safetensors", provenance={})
    return folder


def evaluate(folder: Path, *words: str) -> int:
    judge = str(folder / "judge.safetensors")
    return main(["evaluate", str(folder / "new.fasta"), "--classifier", judge, *words])


def test_scores_stand_beside_those_of_real_peptides(files, tmp_path, capsys):
    reference = ["--reference", str(files / "table.csv"), "--label", "antimicrobial"]
    assert evaluate(files, *reference, "--out", str(tmp_path), "--json") == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((tmp_path / "peptide_summary.json").read_text())
    assert (printed["peptides"], printed["rejected"]) == (26, 0)
    assert (printed["valid"], printed["exact_length"]) == (1.0, 1.0)
    scores = {line["key"]: line for line in printed["scores"]}
    assert scores["unique"]["here"] == pytest.approx(25 / 26)
    assert scores["copies"]["here"] >= 2 / 26
    assert scores["copies"]["beside"] == {"real": 0.0}
    assert scores["frechet"]["beside"]["real"] > 0
    assert scores["active_antimicrobial"]["here"] == 1.0
    assert printed["classifier"]["antimicrobial"]["auc"] == 0.875
    assert printed["classifier"]["antimicrobial"]["trained_on"] == [5, 6]
    with (tmp_path / "peptide_scores.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 26
    assert [row["nearest_training_identity"] for row in rows[-2:]] == ["1", "1"]
    assert 0 < float(rows[0]["probability_antimicrobial"]) < 1


def test_brackets_are_scored_beside(files, tmp_path, capsys):
    words = ["--reference", str(files / "table.csv"), "--label", "antimicrobial", "--brackets"]
    assert evaluate(files, *words, "--out", str(tmp_path), "--json") == 0
    lines = {line["key"]: line for line in json.loads(capsys.readouterr().out)["scores"]}
    beside = lines["dipeptide_divergence"]["beside"]
    assert list(beside) == ["real", "shuffled", "random"]
    assert lines["dipeptide_divergence"]["here"] < beside["shuffled"]
    assert beside["real"] < beside["shuffled"]


def test_the_screen_has_the_judges_area_beside_its_answer(files, tmp_path, capsys):
    assert evaluate(files, "--out", str(tmp_path), "--picture", str(tmp_path / "new.svg")) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "predicted antimicrobial 100.0 % 0.875" in lines
    assert any(line.startswith("mean charge ") for line in lines)
    assert "<svg" in (tmp_path / "new.svg").read_text()


def test_a_bad_record_is_named_by_line_and_the_rest_is_scored(files, tmp_path, capsys):
    path = tmp_path / "mixed.fasta"
    path.write_text(">good\nKLKLKLKL\n>bad\nKLBL\n")
    assert main(["evaluate", str(path), "--classifier", "none", "--json"]) == 1
    printed = json.loads(capsys.readouterr().out)
    assert printed["valid"] == 0.5
    assert printed["rejects"] == [
        {
            "place": f"{path}, line 3",
            "reason": "bad: residue 3 is 'B'; expected one of ACDEFGHIKLMNPQRSTVWY",
        }
    ]
    assert (tmp_path / "evaluation" / "peptide_scores.csv").is_file()


def test_confidences_come_from_a_file_of_structures(files, tmp_path, capsys):
    path = tmp_path / "structures.npz"
    np.savez(
        path,
        sequence=np.array(["KLK"]),
        offset=np.array([0, 3]),
        coords_centiangstrom=np.zeros((3, 14, 3), dtype=np.int16),
        atom_mask=np.ones((3, 14), dtype=bool),
        plddt_ca=np.array([70.0, 80.0, 90.0], dtype=np.float32),
    )
    new = tmp_path / "new.csv"
    new.write_text("name,sequence\na,KLK\nb,GGG\n")
    words = ["evaluate", str(new), "--classifier", "none", "--structures", str(path), "--json"]
    assert main(words) == 0
    scores = {line["key"]: line for line in json.loads(capsys.readouterr().out)["scores"]}
    assert scores["plddt"]["here"] == 80.0
    new.write_text("name,sequence\nb,GGG\n")
    assert main(words) == 2
    assert "has no structure of any of these peptides" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--label", "antimicrobial"), "--label: needs --reference"),
        (("--brackets",), "--brackets: needs --reference with at least 40"),
        (("--reference", "TABLE", "--label", "sweet"), "has no label 'sweet'; its labels are:"),
    ],
)
def test_options_that_mean_nothing_are_refused(files, capsys, words, message):
    words = tuple(str(files / "table.csv") if word == "TABLE" else word for word in words)
    assert evaluate(files, *words) == 2
    assert message in capsys.readouterr().err


def test_options_for_peptides_do_not_go_with_structures(tmp_path, capsys):
    assert main(["evaluate", str(tmp_path), "--classifier", "none"]) == 2
    assert "options for peptides mean nothing for structures" in capsys.readouterr().err
