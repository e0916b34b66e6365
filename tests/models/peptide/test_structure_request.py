"""Predicted structures that peptides are asked to fit: read, refused, and told to the network."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from foldwright.models.peptide.draws import Draw, draw_sequences
from foldwright.models.peptide.features import StructureFeatures
from foldwright.models.peptide.model_facts import ModelFacts
from foldwright.models.peptide.peptide_settings import (
    PeptidePlan,
    PeptideSettings,
    resolve_peptide_settings,
)
from foldwright.models.peptide.sample import generate_peptides
from foldwright.models.peptide.structure_request import read_structure_request
from foldwright.runtime.errors import InputError, Problem
from foldwright.structure.io import write_structure
from foldwright.structure.records import Chain, Structure
from tests.models.peptide.mixture_model import LABELS, random_model
from tests.models.peptide.small_peptide_models import helix_backbone

CPU = torch.device("cpu")


def _write(path: Path, *, plddt: float = 80.0, length: int = 9, chains: int = 1) -> Path:
    made = []
    for name in "AB"[:chains]:
        chain = Chain.from_backbone(helix_backbone(length), chain_id=name)
        made.append(replace(chain, b_factor=np.full(len(chain.b_factor), plddt)))
    write_structure(Structure(name="helix", chains=tuple(made)), path)
    return path


def _plan(model: Any, **changes: Any) -> PeptidePlan:
    facts = ModelFacts(LABELS, model.max_length, model.process.num_timesteps, model.length_counts)
    return resolve_peptide_settings(PeptideSettings(**{"steps": 6, **changes}), facts)


def test_features_are_those_of_the_file(tmp_path: Path) -> None:
    problems: list[Problem] = []
    found = read_structure_request(str(_write(tmp_path / "helix.pdb")), problems)
    assert not problems
    assert found is not None
    wanted = StructureFeatures.of_structure(
        helix_backbone(9), np.ones((9, 4), dtype=bool), np.full(9, 80.0, dtype=np.float32)
    )
    torch.testing.assert_close(found.values, wanted.values, atol=2e-3, rtol=0)
    assert found.secondary.tolist() == wanted.secondary.tolist()
    assert 1 in found.secondary  # helix


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"plddt": 0.0}, "B-factors are 0 to 0; expected pLDDT on the scale 0 to 100"),
        ({"plddt": 0.9}, "B-factors are 0.9 to 0.9"),
        ({"chains": 2}, "has 2 protein chains; expected a file with one"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    path = _write(tmp_path / "bad.pdb", **options)
    with pytest.raises(InputError, match="--structure") as error:
        _plan(random_model(), structure=str(path))
    assert message in str(error.value)


def test_lengths_must_agree_and_files_exist(tmp_path: Path) -> None:
    path = str(_write(tmp_path / "helix.pdb"))
    assert _plan(random_model(), structure=path).length_of(0, 0) == 9
    with pytest.raises(InputError, match="--structure: has 9 residues, but --length 10"):
        _plan(random_model(), structure=path, length="10")
    with pytest.raises(InputError, match=r"--structure.*no-such\.pdb"):
        _plan(random_model(), structure=str(tmp_path / "no-such.pdb"))
    facts = ModelFacts(LABELS, 24, 50, random_model().length_counts, takes_structures=False)
    with pytest.raises(InputError, match="these weights were trained without structures"):
        resolve_peptide_settings(PeptideSettings(structure=path), facts)


def test_the_network_is_told_and_guidance_points_away_from_none(tmp_path: Path) -> None:
    model, told = random_model(), []
    denoise = model.denoise

    def watch(x: Any, mask: Any, timestep: Any, condition: Any, previous: Any) -> Any:
        told.append(condition.structure)
        return denoise(x, mask, timestep, condition, previous)

    model.denoise = watch  # type: ignore[method-assign]
    path = str(_write(tmp_path / "helix.pdb"))
    draws = [Draw(index, 0, 9, 3) for index in range(5)]
    plan = _plan(model, structure=path, guidance=2.0, guidance_range=(0.0, 1.0))
    many = draw_sequences(model, plan, draws, device=CPU, on_step=lambda step: None)
    rows = len(told[0].mask)
    assert told[0].mask[: rows // 2].all()
    assert not told[0].mask[rows // 2 :].any()
    one = draw_sequences(model, plan, draws[3:4], device=CPU, on_step=lambda step: None)
    assert one == many[3:4]
    free = _plan(model, length="9")
    draw_sequences(model, free, draws, device=CPU, on_step=lambda step: None)
    assert told[-1] is None


def test_another_structure_is_another_run(tmp_path: Path) -> None:
    settings = PeptideSettings(
        structure=str(_write(tmp_path / "helix.pdb")), num=2, steps=4, unique=False
    )
    generate_peptides(random_model(), settings, tmp_path / "out", device=CPU)
    _write(tmp_path / "helix.pdb", plddt=50.0)
    with pytest.raises(InputError, match="started with structure_sha256"):
        generate_peptides(
            random_model(), settings.model_copy(update={"num": 3}), tmp_path / "out", device=CPU
        )
