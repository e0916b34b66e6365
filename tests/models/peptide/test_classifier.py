"""The classifier of activities: what must not matter to it, and its files."""

import json
from pathlib import Path

import pytest
import torch

from foldwright.models.peptide.classifier import (
    HIDDEN_TOKEN,
    ActivityClassifier,
    ClassifierCard,
    ClassifierConfig,
    LabelQuality,
    drop_start,
    load_classifier,
    pad_tokens,
    save_classifier,
)
from foldwright.runtime.errors import InputError
from foldwright.runtime.weight_files import read_card
from foldwright.sequence.residues import encode_sequence

LABELS = ("antimicrobial", "hemolytic")


def quality(label: str) -> LabelQuality:
    return LabelQuality(
        label=label,
        train_positives=30,
        train_negatives=40,
        threshold=0.25,
        auc=None,
        recall=0.5,
        false_positives=0.05,
        positives=3,
        negatives=4,
    )


@pytest.fixture
def model() -> ActivityClassifier:
    with torch.random.fork_rng([]):
        torch.manual_seed(3)
        made = ActivityClassifier(ClassifierConfig(channels=8, hidden=8), LABELS)
    made.quality = tuple(quality(label) for label in LABELS)
    made.unlearned = {"antibiofilm": "no zeros"}
    return made.eval()


def answer(model: ActivityClassifier, sequence: str) -> list[float]:
    return [float(model.predict([sequence])[label][0]) for label in LABELS]


def test_neither_batch_nor_padding_nor_order_matters(model):
    peptides = ["KLAKLAKKLAKLAK", "GIGK", "ACDEFGHIKLNPQRSTVWY" * 2, "GIGKFLHSAKKFGKAFVGEIM"]
    together = model.predict(peptides)
    for place, peptide in enumerate(peptides):
        assert [together[label][place] for label in LABELS] == pytest.approx(
            answer(model, peptide), abs=1e-6
        )
    tokens, mask = pad_tokens([torch.from_numpy(encode_sequence(one)) for one in peptides])
    junk = torch.where(mask, tokens, 21)  # what other models pad with
    with torch.inference_mode():
        assert torch.equal(model(tokens, mask), model(junk, mask))


def test_residues_their_order_and_hiding_one_matter(model):
    assert answer(model, "KKLLKKLL") != pytest.approx(answer(model, "KKLLKKLA"), abs=1e-6)
    assert answer(model, "KKLLKKLL") != pytest.approx(answer(model, "KLKLKLKL"), abs=1e-6)
    tokens, mask = pad_tokens([torch.from_numpy(encode_sequence("KKLLKKLL"))])
    hidden = tokens.clone()
    hidden[0, 2] = HIDDEN_TOKEN
    with torch.inference_mode():
        assert not torch.allclose(model(tokens, mask), model(hidden, mask))


def test_a_leading_m_is_nothing(model):
    assert answer(model, "MKKLLKKLL") == answer(model, "KKLLKKLL")
    assert answer(model, "MMKKLLKK") != pytest.approx(answer(model, "KKLLKK"), abs=1e-6)
    assert drop_start("MMKK") == "MKK"  # one start residue, not more
    assert drop_start("M") == "M"
    assert len(answer(model, "M")) == len(LABELS)


def test_answers_are_probabilities_by_label_and_none_for_no_peptide(model):
    found = model.predict(["KLAKLAK", "DDDD"])
    assert tuple(found) == LABELS
    assert all(((values > 0) & (values < 1)).all() for values in found.values())
    assert model.predict([])["hemolytic"].shape == (0,)
    with pytest.raises(InputError, match="is 'X'"):
        model.predict(["KLX"])


def test_files_give_the_same_model_back(model, tmp_path: Path):
    path = tmp_path / "judge.safetensors"
    save_classifier(model, path, provenance={"step": 5})
    again = load_classifier(path)
    assert not again.training
    assert answer(again, "KLAKLAKKLAK") == answer(model, "KLAKLAKKLAK")
    assert again.quality == model.quality
    assert dict(again.unlearned) == {"antibiofilm": "no zeros"}
    assert read_card(ClassifierCard, path).provenance == {"step": 5}


def test_damaged_and_foreign_files_are_refused(model, tmp_path: Path):
    path = tmp_path / "judge.safetensors"
    with pytest.raises(InputError, match="no such weight file; `bundled` names"):
        load_classifier(path)
    save_classifier(model, path, provenance={})
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match="is corrupted: checksum"):
        load_classifier(path)
    card = path.with_suffix(".json")
    values = json.loads(card.read_text())
    for key, value in (("format", "foldwright-backbone"), ("version", 9)):
        card.write_text(json.dumps(values | {key: value}))
        with pytest.raises(InputError, match=r"has the format|has version"):
            load_classifier(path)
    card.write_text("{")
    with pytest.raises(InputError, match="is not JSON"):
        load_classifier(path)
    card.unlink()
    with pytest.raises(InputError, match="has no card"):
        load_classifier(path)


def test_a_card_of_another_network_is_refused(model, tmp_path: Path):
    path = tmp_path / "judge.safetensors"
    save_classifier(model, path, provenance={})
    card = path.with_suffix(".json")
    values = json.loads(card.read_text())
    values["network"]["channels"] = 16
    card.write_text(json.dumps(values))
    with pytest.raises(InputError, match="does not fit what its card describes"):
        load_classifier(path)
