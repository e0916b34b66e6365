"""Peptides by several threads: the same files as by one, finished or killed."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from foldwright.models.peptide import sample
from foldwright.models.peptide.draws import draw_sequences
from foldwright.models.peptide.peptide_settings import PeptideSettings
from foldwright.models.peptide.sample import generate_peptides
from tests.models.peptide.mixture_model import random_model

SETTINGS = PeptideSettings(num=40, seed=3, steps=6, length="5-20")


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def _files(out: Path, threads: int) -> dict[str, bytes]:
    torch.set_num_threads(threads)
    generate_peptides(random_model(), SETTINGS, out, device=torch.device("cpu"))
    return {path.name: path.read_bytes() for path in out.iterdir()}


def test_any_number_of_threads_writes_the_same_files(tmp_path: Path) -> None:
    one, four = (_files(tmp_path / str(threads), threads) for threads in (1, 4))
    assert sorted(one) == ["peptides.csv", "peptides.fasta", "peptides.json", "run.json"]
    assert one == four


def test_stopped_with_several_threads_and_gone_on_with_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []

    def stopping(*args: Any, **options: Any) -> Any:
        calls.append(1)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return draw_sequences(*args, **options)

    with monkeypatch.context() as patches:
        patches.setattr(sample, "draw_sequences", stopping)
        with pytest.raises(KeyboardInterrupt):
            _files(tmp_path / "cut", 4)
    assert not (tmp_path / "cut" / "peptides.fasta").exists()
    assert _files(tmp_path / "cut", 1) == _files(tmp_path / "whole", 2)
