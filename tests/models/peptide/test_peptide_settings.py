"""Settings of a run of peptides: what they come to, and what is refused with which advice."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from foldwright.models.peptide.model_facts import ModelFacts
from foldwright.models.peptide.peptide_lengths import LengthWeights
from foldwright.models.peptide.peptide_settings import (
    PeptidePlan,
    PeptideSettings,
    resolve_peptide_settings,
    wanted_text,
)
from foldwright.runtime.errors import InputError

LABELS = ("antimicrobial", "antifungal", "hemolytic")


def _facts() -> ModelFacts:
    counts = torch.zeros(4, 51, dtype=torch.int64)
    counts[0, [10, 20]] = torch.tensor([30, 10])
    counts[1, 15] = 7
    counts[3, 5:51] = 3
    return ModelFacts(LABELS, max_length=50, num_timesteps=1000, length_counts=counts)


def test_the_opposite_of_a_label_that_was_never_0_is_unknown() -> None:
    facts = replace(_facts(), inactive_counts=torch.tensor([5, 0, 2]))
    settings = PeptideSettings(activity=("antimicrobial", "antifungal"), guidance=2.0)
    assert resolve_peptide_settings(settings, facts).away_labels == (0, -1, -1)
    assert resolve_peptide_settings(settings, _facts()).away_labels == (0, 0, -1)
    with pytest.raises(InputError, match="no training peptide is known not to have antifungal"):
        resolve_peptide_settings(PeptideSettings(excluded=("antifungal",)), facts)


def test_guidance_has_its_range_above_1_only() -> None:
    asked: dict[str, Any] = {"activity": ("antifungal",), "guidance_range": (0.01, 0.2)}
    assert _resolve(**asked, guidance=2.0).guidance.signal_range == (0.01, 0.2)
    assert _resolve(**asked, guidance=0.0).guidance.signal_range == (0.0, 1.0)


def test_the_opposite_of_nothing_is_nothing() -> None:
    assert _resolve(secondary="HHHHH", guidance=2.0).away_labels == (-1, -1, -1)
    assert _resolve(excluded=("hemolytic",), guidance=2.0).away_labels == (-1, -1, -1)


def _resolve(**changes: Any) -> PeptidePlan:
    return resolve_peptide_settings(PeptideSettings(**changes), _facts())


def _possible(plan: PeptidePlan) -> list[int]:
    return [n for n, weight in enumerate(plan.lengths.weights) if weight > 0]


def test_labels_are_wanted_excluded_or_open() -> None:
    plan = _resolve(activity=("antifungal",), excluded=("hemolytic",))
    assert plan.labels == (-1, 1, 0)
    assert wanted_text(plan, LABELS) == "antifungal, not hemolytic"
    assert wanted_text(_resolve(), LABELS) == ""


@pytest.mark.parametrize(
    ("changes", "lengths"),
    [
        ({"length": "12-14"}, [12, 13, 14]),
        ({"length": "20"}, [20]),
        ({"activity": ("antimicrobial",)}, [10, 20]),
        ({"activity": ("antimicrobial", "antifungal")}, [15]),
        ({"excluded": ("antimicrobial",)}, list(range(5, 51))),
        ({"activity": ("hemolytic",)}, list(range(5, 51))),  # none was counted
        ({}, list(range(5, 51))),
        ({"secondary": "HHHHHCC"}, [7]),
    ],
)
def test_lengths(changes: dict[str, Any], lengths: list[int]) -> None:
    assert _possible(_resolve(**changes)) == lengths


def test_lengths_are_drawn_in_proportion_and_by_number() -> None:
    weights = LengthWeights((0.0, 3.0, 1.0))
    drawn = [weights.draw(7, index) for index in range(400)]
    assert drawn == [weights.draw(7, index) for index in range(400)]
    assert set(drawn) == {1, 2}
    assert 0.68 < drawn.count(1) / 400 < 0.82


def test_secondary_structure_is_read() -> None:
    assert _resolve(secondary="HExC-?").secondary == (1, 2, 0, 3, 0, 0)
    assert _resolve(secondary="HHHHH", length="5").secondary == (1,) * 5
    assert _resolve(secondary="HHHCC", template="KXXXX").secondary == (1, 1, 1, 3, 3)


def test_samplers_have_their_own_defaults() -> None:
    assert _resolve(sampler="dpm").sampler.options == {"order": 2}
    assert _resolve(sampler="sde", churn=0.5).sampler.options == {"noise_scale": 1.0, "churn": 0.5}
    assert _resolve(sampler="ddim").sampler.options == {"eta": 0.0}


def test_guided_runs_take_fewer_steps_that_cost_twice() -> None:
    asked: dict[str, Any] = {"activity": ("antifungal",)}
    assert _resolve(**asked).sampler.num_steps == 20
    assert _resolve(**asked, guidance=2.0).sampler.num_steps == 12
    assert _resolve(**asked, guidance=2.0, steps=7).sampler.num_steps == 7


PROBLEMS = [
    (
        {"activity": ("antifugal",)},
        "--activity: these weights know no activity 'antifugal'; did you mean antifungal?",
    ),
    ({"activity": ("qqq",)}, "they know antimicrobial, antifungal, hemolytic"),
    ({"excluded": ("toxick",)}, "--not: these weights know no activity 'toxick'"),
    ({"activity": ("hemolytic",), "excluded": ("hemolytic",)}, "asked for with --activity too"),
    ({"length": "30-12"}, "--length: the shorter length comes first: write 12-30"),
    ({"length": "many"}, "--length: expected 20 or 12-30: got 'many'"),
    ({"length": "40-60"}, "--length: these weights know peptides of 5 to 50 residues: got 40-60"),
    ({"length": "4"}, "know peptides of 5 to 50 residues: got 4"),
    ({"num": 0}, "--num: must be 1 or more: got 0"),
    ({"attempts": 0}, "--attempts: must be 1 or more"),
    ({"seed": -1}, "--seed: must be 0 or more"),
    ({"guidance": -1.0, "activity": ("antifungal",)}, "--guidance: must be 0 or more"),
    ({"guidance": 2.0}, "--guidance: has nothing to push towards; write --activity"),
    ({"guidance_schedule": "linear"}, "linear rises from 1 to --guidance: got --guidance 1"),
    ({"guidance_range": (0.2, 0.1)}, "--guidance-range: must rise within 0 to 1: got 0.2 0.1"),
    ({"guidance_range": (0.0, 1.5)}, "write 0 1 for always"),
    ({"steps": 1001}, "--steps: must be between 1 and 1000"),
    (
        {"sampler": "dpm", "eta": 0.5},
        "--eta: is not read by the sampler dpm; leave it out, or write --sampler ddim",
    ),
    ({"sampler": "ddim", "churn": 0.5}, "write --sampler sde"),
    ({"order": 2}, "write --sampler dpm"),
    ({"sampler": "dpm", "order": 4}, "--order: must be between 1 and 3: got 4"),
    ({"secondary": "HHZ", "length": "3"}, "--secondary: expected H, E, C, and X"),
    ({"secondary": "HHHHHC", "length": "7"}, "--secondary: has 6 residues, but --length 7"),
    ({"secondary": "HHHHHC", "length": "6-8"}, "write --length 6 or leave --length out"),
    ({"secondary": "HHH", "template": "KKXXX"}, "has 3 residues, but --template 5"),
    ({"secondary": "HHHHH", "between": ("KKKKK", "LLLLLL")}, "needs one length"),
    ({"template": "KXZLL"}, "--template: residue 3 of KXZLL is 'Z'"),
    ({"template": "KKLLK"}, "--template: leaves nothing open: got KKLLK; write X"),
    ({"template": "KX"}, "5 to 50 residues: KX has 2"),
    ({"template": "KXXXX", "length": "5"}, "--length: follows from --template; leave it out"),
    ({"analogue_of": "KKLLX"}, "--analogue-of: residue 5 of KKLLX is 'X'"),
    ({"analogue_of": ""}, "--analogue-of: is empty"),
    ({"analogue_of": "KKLLK", "similarity": 1.5}, "--similarity: must be above 0"),
    ({"similarity": 0.5}, "--similarity: is read by --analogue-of and --between"),
    ({"analogue_of": "KKLLK", "between": ("KKLLK", "LLLLL")}, "cannot go with --analogue-of"),
    ({"analogue_of": "KKLLK", "template": "KXXXXX"}, "--template: has 6 residues, --analogue-of 5"),
]


@pytest.mark.parametrize(("changes", "message"), PROBLEMS)
def test_what_makes_no_sense_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as error:
        _resolve(**changes)
    assert message in str(error.value)


def test_all_problems_are_told_together() -> None:
    with pytest.raises(InputError) as error:
        _resolve(num=0, length="x", activity=("a",), eta=0.1, steps=0)
    assert {problem.place for problem in error.value.problems} == {
        "--num",
        "--length",
        "--activity",
        "--eta",
        "--steps",
    }
