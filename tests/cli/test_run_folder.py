"""The folder of a training run: settings kept, checkpoints found."""

from pathlib import Path

import pytest
from pydantic import Field

from foldwright.cli.run_folder import (
    keep_config,
    load_run_config,
    read_run_checkpoint,
    require_weight_name,
)
from foldwright.runtime.config import Config
from foldwright.runtime.errors import InputError


class Experiment(Config):
    steps: int = Field(description="how long")


def test_settings_come_back_and_stay_until_replaced(tmp_path: Path) -> None:
    keep_config(tmp_path, Experiment(steps=3), replace=False)
    keep_config(tmp_path, Experiment(steps=4), replace=False)
    assert load_run_config(Experiment, tmp_path, "backbone").steps == 3
    keep_config(tmp_path, Experiment(steps=4), replace=True)
    assert load_run_config(Experiment, tmp_path, "backbone").steps == 4


def test_a_folder_without_a_run(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a run of `foldwright train peptide`"):
        load_run_config(Experiment, tmp_path, "peptide")


@pytest.mark.parametrize("which", ["last", "best"])
def test_a_run_without_checkpoints(tmp_path: Path, which: str) -> None:
    with pytest.raises(InputError, match=f"has no {which} checkpoint yet"):
        read_run_checkpoint(tmp_path, which)  # type: ignore[arg-type]


def test_names_of_weights() -> None:
    require_weight_name(Path("a.safetensors"))
    with pytest.raises(InputError, match=r"end it in \.safetensors"):
        require_weight_name(Path("a.pt"))
