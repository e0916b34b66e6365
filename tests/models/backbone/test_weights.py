"""Weight files come back bit by bit, or one line says why not."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load, save

from foldwright.models.backbone.model import BackboneModel
from foldwright.models.backbone.weights import BackboneCard, load_weights, save_weights
from foldwright.runtime.errors import InputError
from foldwright.runtime.files import sha256_file
from foldwright.runtime.weight_files import read_card
from tests.models.backbone.small_models import small_model, walks

PROVENANCE = {"data": ["1abc"], "steps": 7, "scores": {"bonds": 0.5}, "licence": None}


@pytest.fixture
def model() -> BackboneModel:
    return small_model(dtype=torch.float32, diffusion={"coordinate_scale": 3.0})


@pytest.fixture
def path(tmp_path: Path, model: BackboneModel) -> Path:
    path = tmp_path / "small.safetensors"
    save_weights(model, path, provenance=PROVENANCE)
    return path


def change_card(path: Path, **changes: Any) -> None:
    card = path.with_suffix(".json")
    card.write_text(json.dumps(json.loads(card.read_text()) | changes))


def replace_tensors(path: Path, change: Callable[[dict[str, torch.Tensor]], None]) -> None:
    """Other tensors under the same card, whose checksum is made to fit."""
    state = load(path.read_bytes())
    change(state)
    path.write_bytes(save(state))
    change_card(path, sha256=sha256_file(path))


def test_round_trip_is_bitwise(path: Path, model: BackboneModel) -> None:
    found = load_weights(path)
    assert found.genie == model.genie
    assert found.diffusion == model.diffusion
    assert not found.training
    state = found.state_dict()
    assert state.keys() == model.state_dict().keys()
    assert all(torch.equal(state[name], value) for name, value in model.state_dict().items())
    ca, mask = walks([9], dtype=torch.float32)[0][None], torch.ones(1, 9, dtype=torch.bool)
    with torch.no_grad():
        results = [m.denoise(ca, mask, torch.tensor([7])).x0 for m in (found, model)]
    assert torch.equal(*results)


def test_same_model_same_bytes_and_text_paths(path: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.safetensors"
    save_weights(load_weights(str(path)), again, provenance=PROVENANCE)
    assert again.read_bytes() == path.read_bytes()
    assert again.with_suffix(".json").read_bytes() == path.with_suffix(".json").read_bytes()


def test_card_says_what_it_is_and_where_from(path: Path, model: BackboneModel) -> None:
    card = read_card(BackboneCard, path)
    assert (card.format, card.version) == ("foldwright-backbone", 1)
    assert card.sha256 == sha256_file(path)
    assert card.provenance == PROVENANCE
    assert card.genie == model.genie


def test_corrupted_and_cut_files(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    for content in (bytes(data), path.read_bytes()[:-100], b""):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"is corrupted: checksum .*copy or download it again"):
            load_weights(path)


def test_file_of_another_kind_with_a_card_that_fits(path: Path) -> None:
    path.write_bytes(b"certainly not safetensors")
    change_card(path, sha256=sha256_file(path))
    with pytest.raises(InputError, match="is no safetensors file"):
        load_weights(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": 2}, "has version 2, this Foldwright reads 1"),
        ({"format": "other"}, "has the format 'other', expected 'foldwright-backbone'"),
        ({"colour": "red"}, "unknown key colour"),
        ({"genie": {"c_s": "wide"}}, "genie.c_s: found 'wide', expected a valid integer"),
    ],
)
def test_cards_that_do_not_fit(path: Path, changes: dict[str, Any], message: str) -> None:
    change_card(path, **changes)
    with pytest.raises(InputError, match=message):
        load_weights(path)


@pytest.mark.parametrize("content", ["[1, 2", "[1, 2]", "\x00"])
def test_card_that_is_no_card(path: Path, content: str) -> None:
    path.with_suffix(".json").write_text(content)
    with pytest.raises(InputError, match=r"is not JSON|has the format None"):
        load_weights(path)


def test_missing_card_file_and_other_suffix(path: Path) -> None:
    path.with_suffix(".json").unlink()
    with pytest.raises(InputError, match=r"has no card small.json beside it"):
        load_weights(path)
    with pytest.raises(InputError, match="no such weight file; `bundled` names"):
        load_weights(path.with_name("absent.safetensors"))
    other = path.rename(path.with_suffix(".pt"))
    with pytest.raises(InputError, match=r"ends in '.pt'; expected .safetensors or .ckpt"):
        load_weights(other)


def test_weights_of_another_network(path: Path) -> None:
    wider = small_model(c_s=16, dtype=torch.float32).genie.model_dump(mode="json")
    change_card(path, genie=wider)
    message = r"(?s)has shape .* expected .*small.json is another's"
    with pytest.raises(InputError, match=message) as e:
        load_weights(path)
    assert len(e.value.problems) == 11


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_weights_that_are_not_finite(path: Path, value: float) -> None:
    def spoil(state: dict[str, torch.Tensor]) -> None:
        state["network.single_feature_net.linear.bias"][3] = value

    replace_tensors(path, spoil)
    message = r"not finite: network.single_feature_net.linear.bias has 1 .* at \[3\]"
    with pytest.raises(InputError, match=message):
        load_weights(path)


def test_missing_tensor(path: Path) -> None:
    replace_tensors(path, lambda state: state.pop("network.single_feature_net.linear.bias"))
    with pytest.raises(InputError, match=r"network.single_feature_net.linear.bias: is missing"):
        load_weights(path)


def test_failed_write_leaves_the_old_file(path: Path, model: BackboneModel, monkeypatch) -> None:
    before = path.read_bytes()

    def full(*_: Any) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("foldwright.runtime.files.os.fsync", full)
    with torch.no_grad():
        next(model.parameters()).zero_()
    with pytest.raises(OSError, match="disk full"):
        save_weights(model, path, provenance={})
    monkeypatch.undo()
    assert path.read_bytes() == before
    load_weights(path)


def test_genie_checkpoint_by_its_suffix(tmp_path: Path) -> None:
    checkpoint = tmp_path / "x.ckpt"
    checkpoint.write_bytes(b"")
    with pytest.raises(InputError, match="needs the text file of its settings"):
        load_weights(checkpoint)
