"""`foldwright fold weights`."""

import json
from pathlib import Path

import pytest
import torch

from foldwright.cli.main import main
from foldwright.models.fold.weights.load import empty_network
from foldwright.runtime.config import dump_config
from tests.models.fold.family_results import stored_shapes
from tests.models.fold.mixed_input import seeded_parameters
from tests.models.fold.record_writer import random_records, records_bytes
from tests.models.fold.test_weights import SMALL


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.bin"
    path.write_bytes(records_bytes(random_records(empty_network(SMALL))))
    (tmp_path / "sizes.yaml").write_text(dump_config(SMALL))
    return path


def test_inspect_and_convert(weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sizes = ["--config", str(weights.parent / "sizes.yaml"), "--json"]
    assert main(["fold", "weights", "inspect", str(weights), *sizes]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["fits"] is True
    assert shown["identifier"] == "made-by-a-test"
    assert shown["records"] == 405
    out = weights.parent / "tiny.safetensors"
    assert main(["fold", "weights", "convert", str(weights), "--out", str(out), *sizes]) == 0
    assert out.is_file()


def test_a_file_for_another_network_ends_with_one(
    weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = weights.parent / "other.yaml"
    other.write_text(dump_config(SMALL.model_copy(update={"pair_channels": 16})))
    assert main(["fold", "weights", "inspect", str(weights), "--config", str(other), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["problems"]


def test_a_checkpoint_of_another_family_needs_no_sizes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, out = tmp_path / "weights.pt", tmp_path / "weights.safetensors"
    torch.save(seeded_parameters(stored_shapes("openfold3", "reduced")), file)
    assert main(["fold", "weights", "convert", str(file), "--out", str(out), "--json"]) == 0
    capsys.readouterr()
    for path in (file, out):
        assert main(["fold", "weights", "inspect", str(path), "--json"]) == 0
        shown = json.loads(capsys.readouterr().out)
        assert (shown["family"], shown["fits"]) == ("OpenFold3 0.5 (openbind)", True)


def test_a_damaged_checkpoint_is_bad_input(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "weights.pt"
    file.write_bytes(b"not a checkpoint")
    assert main(["fold", "weights", "inspect", str(file)]) == 2
    assert "weights.pt" in capsys.readouterr().err
