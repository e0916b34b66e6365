import pytest
import torch

from foldwright.evaluation.metrics import METRICS
from foldwright.evaluation.natural import load_natural
from foldwright.evaluation.scores import score_chain, score_structure
from foldwright.runtime.errors import InputError
from foldwright.structure.records import Chain, Structure
from tests.evaluation.conftest import build_backbone, build_trace, chain_of


def test_a_structure_is_scored_under_its_name_with_the_shipped_band():
    chain = Chain.from_backbone(build_backbone(70, -60, -45).numpy())
    scores = score_structure(Structure("helix", (chain,)))
    assert (scores.name, scores.length, scores.missing_ca) == ("helix", 70, 0)
    assert scores.backbone is not None
    radius = scores.fold.radius_of_gyration
    assert scores.rg_in_band == load_natural().size_band.holds(70, radius)


def test_a_globule_is_in_the_band_and_a_rod_is_not():
    band = load_natural().size_band
    rod = score_chain(chain_of(build_trace(100)), name="rod", band=band)
    assert rod.rg_in_band is False
    _, median, _ = band.at(100) or (0, 0, 0)
    trace = build_trace(100)
    globule = trace * median / rod.fold.radius_of_gyration
    assert score_chain(chain_of(globule), name="globule", band=band).rg_in_band is True


@pytest.mark.parametrize("length", [39, 801])
def test_lengths_beyond_the_reference_are_not_judged(length: int):
    chain = chain_of(torch.randn(length, 3, generator=torch.Generator().manual_seed(0)) * 20)
    scores = score_chain(chain, name="x", band=load_natural().size_band)
    assert scores.rg_in_band is None


def test_rows_have_the_same_columns_with_and_without_backbone():
    bare = score_chain(chain_of(build_trace(20)), name="bare", band=None).row()
    full_chain = Chain.from_backbone(build_backbone(20, -60, -45).numpy())
    full = score_chain(full_chain, name="full", band=None).row()
    assert list(bare) == list(full)
    assert bare["n_ca"] is None
    assert full["n_ca"] == pytest.approx(1.459, abs=1e-4)
    assert {metric.key for metric in METRICS} <= set(full)
    assert {metric.weight for metric in METRICS} - {None} <= set(full)


def test_several_protein_chains_are_not_one_design():
    chains = (chain_of(build_trace(20)), chain_of(build_trace(20), "B"))
    with pytest.raises(InputError, match=r"pair: a design has one protein chain, .* has 2"):
        score_structure(Structure("pair", chains))


def test_four_residues_are_too_few():
    with pytest.raises(InputError, match="4 residues with a C-alpha; scores need at least 5"):
        score_structure(Structure("short", (chain_of(build_trace(4)),)))
