"""Scores of chains against the original's numbers and by hand."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from benchmarks.fold_network import chain_inputs
from foldwright.models.fold.chain_scores import ChainScores, chain_scores, ranking_score
from foldwright.models.fold.inputs import FoldInputs
from foldwright.models.fold.network.confidence import Confidence
from tests.models.fold.golden_files import FoldGolden, LoadGolden


def _inputs(asym: Tensor, mask: Tensor, frames: Tensor) -> FoldInputs:
    inputs = chain_inputs(len(asym))
    return replace(inputs, tokens=replace(inputs.tokens, asym_id=asym, mask=mask), frames=frames)


def _confidence(tm_global: Tensor, tm_interface: Tensor, error: Tensor) -> Confidence:
    atoms, none = torch.zeros(len(error), 24), torch.zeros_like(error)
    return Confidence(atoms, atoms, error, none, error.mean(), tm_global, tm_interface)


def _golden_scores(golden: FoldGolden, sample: int) -> ChainScores:
    inputs = _inputs(
        golden.input("asym_id").long(), golden.mask("seq_mask"), golden.mask("frames_mask")
    )
    parts = ("tm_adjusted_global", "tm_adjusted_interface", "full_pae")
    return chain_scores(_confidence(*(golden.result(p)[sample] for p in parts)), inputs)


@pytest.mark.parametrize("seed", [60, 61, 62])
def test_equal_the_original(fold_golden: LoadGolden, seed: int) -> None:
    golden = fold_golden(f"confidence_metrics_s{seed}")
    for sample in range(len(golden.result("ptm"))):
        found = _golden_scores(golden, sample)
        expected = {
            "ptm": "ptm",
            "iptm": "iptm",
            "chain_pair_iptm": "chain_pair_iptm",
            "chain_pair_pae_min": "chain_pair_pae_min",
            "chain_iptm": "iptm_xchain",
            "chain_ptm": "iptm_ichain",
        }
        for ours, theirs in expected.items():
            torch.testing.assert_close(
                torch.as_tensor(getattr(found, ours)).float(),
                golden.result(theirs)[sample],
                rtol=1e-5,
                atol=1e-6,
                equal_nan=True,
                msg=lambda text, name=ours: f"{name}: {text}",
            )


def test_ranking_score(shared_golden: Path) -> None:
    for case in json.loads((shared_golden / "af3" / "ranking_score.json").read_text()):
        none = torch.zeros(0)
        iptm = math.nan if case["iptm"] is None else case["iptm"]
        scores = ChainScores(case["ptm"], iptm, none, none, torch.zeros(0, 0), torch.zeros(0, 0))
        found = ranking_score(
            scores,
            fraction_disordered=case["fraction_disordered"],
            has_clash=case["has_clash"],
        )
        assert found == pytest.approx(case["ranking_score"], abs=1e-6)


def test_two_chains_by_hand() -> None:
    asym = torch.tensor([1, 1, 2, 2, 0])
    mask = torch.tensor([True, True, True, True, False])
    terms = torch.tensor(
        [
            [1.0, 0.8, 0.2, 0.4, 9.0],
            [0.6, 1.0, 0.1, 0.1, 9.0],
            [0.5, 0.7, 1.0, 0.2, 9.0],
            [0.9, 0.9, 0.9, 0.9, 9.0],
            [9.0, 9.0, 9.0, 9.0, 9.0],
        ]
    )
    frames = torch.tensor([True, True, True, False, False])
    found = chain_scores(_confidence(terms, terms / 2, 10 * terms), _inputs(asym, mask, frames))
    assert found.ptm == pytest.approx(0.6)  # rows 0 and 2; row 3 has no frame
    assert found.iptm == pytest.approx(0.6)  # row 2: (0.5 + 0.7) / 2
    expected = torch.tensor([[0.45, 0.3], [0.3, 0.3]])
    torch.testing.assert_close(found.chain_pair_iptm, expected)
    torch.testing.assert_close(found.chain_iptm, torch.tensor([0.3, 0.3]))
    torch.testing.assert_close(found.chain_pair_pae_min, torch.tensor([[6.0, 1.0], [5.0, 2.0]]))


def test_nothing_to_score_is_not_a_number() -> None:
    asym, mask = torch.ones(3).long(), torch.ones(3, dtype=torch.bool)
    terms = torch.ones(3, 3)
    alone = chain_scores(_confidence(terms, terms, terms), _inputs(asym, mask, mask))
    assert alone.ptm == pytest.approx(1.0)
    assert math.isnan(alone.iptm)
    blind = chain_scores(_confidence(terms, terms, terms), _inputs(asym, mask, ~mask))
    assert math.isnan(blind.ptm)
    assert blind.chain_pair_pae_min.isnan().all()
