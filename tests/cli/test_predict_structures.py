"""`foldwright data predict-structures` with a stand-in for the network's answers."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from foldwright.cli.main import main
from foldwright.data.peptide_store import PeptideStore
from foldwright.interop import esmfold
from tests.models.peptide.small_peptide_models import helix_backbone


class Network(torch.nn.Module):
    """Answers with a helix, in the layout of transformers' EsmForProteinFolding."""

    asked: list[str]

    def __init__(self) -> None:
        super().__init__()
        self.asked = []

    def infer(self, sequence: str) -> dict[str, torch.Tensor]:
        self.asked.append(sequence)
        n = len(sequence)
        positions = torch.zeros(8, 1, n, 14, 3)
        positions[-1, 0, :, :4] = torch.from_numpy(helix_backbone(n))
        plddt = torch.zeros(1, n, 37)
        plddt[..., 1] = 0.75
        return {"positions": positions, "plddt": plddt}


def test_structures_are_predicted_once_and_prepared(tmp_path: Path, capsys, monkeypatch) -> None:
    pytest.importorskip("transformers", reason="the extra plm is not installed")
    import transformers

    network = Network()
    monkeypatch.setattr(transformers.EsmForProteinFolding, "from_pretrained", lambda name: network)
    table, cache = tmp_path / "table.csv", tmp_path / "cache"
    table.write_text("sequence,toxic\nKKLLKKLL,1\nACDEFGH,0\n")
    command = ["data", "predict-structures", str(table), "--out", str(cache), "--json"]
    for predicted in (2, 0):
        assert main([*command, "--device", "cpu"]) == 0
        record = json.loads(capsys.readouterr().out)
        assert (record["structures"], record["predicted"]) == (2, predicted)
    assert network.asked == ["KKLLKKLL", "ACDEFGH"]
    prepare = ["data", "prepare-peptides", str(table), "--out", str(tmp_path / "store")]
    assert main([*prepare, "--structures", str(cache)]) == 0
    found = PeptideStore.open(tmp_path / "store").structure(0)
    assert np.allclose(found.backbone, helix_backbone(8))
    assert found.plddt.tolist() == [75.0] * 8


def test_an_absent_checkpoint_is_named(tmp_path: Path, capsys) -> None:
    pytest.importorskip("transformers", reason="the extra plm is not installed")
    table = tmp_path / "table.csv"
    table.write_text("sequence\nKKLLKK\n")
    words = ["--checkpoint", str(tmp_path / "none"), "--out", str(tmp_path / "cache")]
    assert main(["data", "predict-structures", str(table), *words]) == 2
    assert "Give a folder that holds the checkpoint" in capsys.readouterr().err


def test_the_library_is_asked_for_by_its_extra(monkeypatch) -> None:
    import builtins

    real = builtins.__import__

    def refuse(name, *arguments, **options):
        if name == "transformers":
            raise ImportError(name)
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(esmfold.FoldwrightError, match=r"pip install 'foldwright\[plm\]'"):
        esmfold.load_esmfold("none", torch.device("cpu"))
