"""Weights and their card: the same back, or one line says why not."""

import json
from pathlib import Path

import pytest
import torch
from pydantic import Field
from torch import Tensor

from foldwright.runtime.errors import InputError
from foldwright.runtime.files import sha256_file
from foldwright.runtime.weight_files import (
    WeightCard,
    bundled_path,
    read_card,
    read_weights,
    write_weights,
)


class Card(WeightCard):
    format: str = Field(default="test-weights", description="kind of weights")
    version: int = Field(default=3, description="version of this layout")
    width: int = Field(description="a setting of the model")


@pytest.fixture
def state() -> dict[str, Tensor]:
    wide = torch.arange(6.0).reshape(2, 3).T.requires_grad_()
    return {"wide": wide, "half": torch.ones(2, dtype=torch.float16), "none": torch.zeros(0)}


@pytest.fixture
def path(tmp_path: Path, state: dict[str, Tensor]) -> Path:
    path = tmp_path / "one.safetensors"
    write_weights(path, state, Card(width=5, provenance={"steps": 7}))
    return path


def test_weights_and_card_come_back(path: Path, state: dict[str, Tensor]) -> None:
    card, found = read_weights(Card, path)
    assert (card.width, card.provenance) == (5, {"steps": 7})
    assert card.sha256 == sha256_file(path)
    assert found.keys() == state.keys()
    for name, tensor in state.items():
        assert found[name].dtype == tensor.dtype
        assert torch.equal(found[name], tensor)


def test_the_same_weights_give_the_same_bytes(path: Path, tmp_path: Path) -> None:
    card, found = read_weights(Card, path)
    write_weights(tmp_path / "two.safetensors", found, card)
    for suffix in (".safetensors", ".json"):
        assert (tmp_path / f"two{suffix}").read_bytes() == path.with_suffix(suffix).read_bytes()


def test_a_changed_byte_is_found(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match="is corrupted: checksum"):
        read_weights(Card, path)


def test_a_file_that_is_no_safetensors(path: Path) -> None:
    path.write_bytes(b"weights")
    card = path.with_suffix(".json")
    card.write_text(json.dumps(json.loads(card.read_text()) | {"sha256": sha256_file(path)}))
    with pytest.raises(InputError, match="is no safetensors file"):
        read_weights(Card, path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "other"}, "has the format 'other', expected 'test-weights'"),
        ({"version": 4}, "has version 4, this Foldwright reads 3"),
        ({"width": "broad"}, "width"),
    ],
)
def test_foreign_cards(path: Path, change: dict[str, object], message: str) -> None:
    card = path.with_suffix(".json")
    card.write_text(json.dumps(json.loads(card.read_text()) | change))
    with pytest.raises(InputError, match=message):
        read_card(Card, path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "has the format None"),
        ("{", "is not JSON"),
        (None, r"has no card one\.json beside it"),
    ],
)
def test_broken_and_missing_cards(path: Path, text: str | None, message: str) -> None:
    card = path.with_suffix(".json")
    card.unlink()
    if text is not None:
        card.write_text(text)
    with pytest.raises(InputError, match=message):
        read_card(Card, path)


def test_missing_weights(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such weight file; `bundled` names"):
        read_weights(Card, tmp_path / "nothing.safetensors")


def test_weights_of_the_package_are_files() -> None:
    assert bundled_path("foldwright.models.backbone", "backbone-small").is_file()
