"""Weight files of peptide models: the same numbers come back, and damage is named."""

import json

import pytest
import torch

from foldwright.models.peptide.weights import (
    PeptideCard,
    load_encoder_weights,
    load_peptide_weights,
    save_encoder_weights,
    save_peptide_weights,
)
from foldwright.runtime.errors import InputError
from foldwright.runtime.weight_files import read_weights
from tests.models.peptide.small_peptide_models import LABELS, batch_of, small_config, small_model


@pytest.fixture
def path(tmp_path):
    model = small_model()
    model.length_counts[1, 7] = 5
    save_peptide_weights(model, tmp_path / "m.safetensors", provenance={"step": 3})
    return tmp_path / "m.safetensors"


def test_a_model_comes_back(path) -> None:
    found, made = load_peptide_weights(path), small_model()
    assert not found.training
    assert found.labels == LABELS
    assert found.config == small_config()
    assert found.length_counts[1, 7] == 5
    batch = batch_of("ACDEF")
    for name, value in made.state_dict().items():
        if name != "length_counts":
            assert torch.equal(found.state_dict()[name], value), name
    with torch.no_grad():
        latents = found.encode(batch.tokens, batch.mask)
        assert torch.equal(latents, made.encode(batch.tokens, batch.mask))
    assert read_weights(PeptideCard, path)[0].provenance == {"step": 3}


def test_an_encoder_alone_and_out_of_a_model(path, tmp_path) -> None:
    encoder, config = load_encoder_weights(path)
    assert config == small_config()
    alone = tmp_path / "e.safetensors"
    save_encoder_weights(
        encoder, alone, config=config.encoder, max_length=config.max_length, provenance={}
    )
    again, _ = load_encoder_weights(alone)
    batch = batch_of("ACDEF")
    wanted = small_model().encoder(batch.tokens, batch.mask)
    assert torch.equal(again(batch.tokens, batch.mask), wanted)
    with pytest.raises(InputError, match="holds the encoder alone; expected a whole model"):
        load_peptide_weights(alone)


def test_damage_and_other_files_are_named(path, tmp_path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(InputError, match="is corrupted: checksum"):
        load_peptide_weights(path)
    path.write_bytes(content)
    card = json.loads(path.with_suffix(".json").read_text())
    for change, message in (
        ({"version": 9}, "has version 9"),
        ({"format": "other"}, "has the format 'other'"),
        ({"labels": [*LABELS, "new"]}, "does not fit what its card describes"),
    ):
        path.with_suffix(".json").write_text(json.dumps(card | change))
        with pytest.raises(InputError, match=message):
            load_peptide_weights(path)
    path.with_suffix(".json").unlink()
    with pytest.raises(InputError, match=r"has no card m\.json"):
        load_peptide_weights(path)
    with pytest.raises(InputError, match="no such weight file"):
        load_peptide_weights(tmp_path / "none.safetensors")
