"""Runs of peptides with a model whose answer is known, and with a real random network."""

import csv
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from foldwright.models.peptide import draws, sample
from foldwright.models.peptide.draws import ROWS, Draw, batches_of, draw_sequences
from foldwright.models.peptide.model_facts import ModelFacts
from foldwright.models.peptide.peptide_settings import (
    PeptidePlan,
    PeptideSettings,
    resolve_peptide_settings,
)
from foldwright.models.peptide.sample import PeptideReport, generate_peptides
from foldwright.models.peptide.seen_peptides import SeenPeptides
from foldwright.runtime.errors import InputError
from foldwright.runtime.seeds import derive_seed
from foldwright.sequence.fasta import read_fasta
from foldwright.sequence.residues import RESIDUES
from tests.models.peptide.mixture_model import LABELS, MixtureModel, random_model

CPU = torch.device("cpu")


def _settings(**changes: Any) -> PeptideSettings:
    return PeptideSettings(**{"num": 6, "seed": 3, "steps": 12, "length": "8-12"} | changes)


def _run(model: Any, out: Path, **changes: Any) -> PeptideReport:
    return generate_peptides(model, _settings(**changes), out, device=CPU)


def _plan(model: Any, **changes: Any) -> PeptidePlan:
    facts = ModelFacts(LABELS, model.max_length, model.process.num_timesteps, model.length_counts)
    return resolve_peptide_settings(_settings(**changes), facts)


def _draw(
    model: Any, keys: list[tuple[int, int]], length: int | None = 9, **changes: Any
) -> list[Any]:
    if length is None:  # the secondary structure says it
        changes["length"], length = None, len(changes["secondary"])
    plan = _plan(model, **changes)
    batch = [Draw(index, attempt, length, 3) for index, attempt in keys]
    return draw_sequences(model, plan, batch, device=CPU, on_step=lambda timestep: None)


def _tree(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def _letters(report: PeptideReport) -> Counter[str]:
    return Counter("".join(record.sequence for record in report.records))


def test_files_of_a_run_say_the_same(tmp_path: Path) -> None:
    report = _run(MixtureModel(), tmp_path, activity=("antimicrobial",), excluded=("hemolytic",))
    fasta = read_fasta(tmp_path / "peptides.fasta")
    rows = list(csv.DictReader((tmp_path / "peptides.csv").open()))
    records = json.loads((tmp_path / "peptides.json").read_text())["peptides"]
    assert [one.sequence for one in fasta] == [record.sequence for record in report.records]
    assert [row["sequence"] for row in rows] == [one["sequence"] for one in records]
    assert [one.name for one in fasta] == [f"peptide_{i:05d}" for i in range(6)]
    assert {row["labels"] for row in rows} == {"antimicrobial, not hemolytic"}
    for record, row in zip(report.records, rows, strict=True):
        assert len(record.sequence) == record.length == int(row["length"])
        assert 8 <= record.length <= 12
        assert set(record.sequence) <= set(RESIDUES)
        assert record.seed == derive_seed(3, record.index, record.attempts - 1)
    run = json.loads((tmp_path / "run.json").read_text())["settings"]
    assert (run["sampler"], run["churn"], run["length"]) == ("sde", 1.0, "8-12")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "peptides.csv",
        "peptides.fasta",
        "peptides.json",
        "run.json",
    ]


@pytest.mark.parametrize("sampler", ["ddpm", "ddim", "dpm", "sde"])
def test_every_sampler_reads_the_conditions(tmp_path: Path, sampler: Any) -> None:
    wanted = _run(
        MixtureModel(), tmp_path / "a", sampler=sampler, activity=("antimicrobial",), num=24
    )
    letters = _letters(wanted)
    share = (letters["K"] + letters["L"]) / letters.total()
    assert 0.75 < share <= 1.0
    assert min(letters["K"], letters["L"]) > 0.2 * letters.total()


def test_guidance_pushes_and_zero_ignores(tmp_path: Path) -> None:
    shares = []
    changes: dict[str, Any] = {"activity": ("antifungal",), "num": 16, "unique": False}
    changes["guidance_range"] = (0.0, 1.0)
    for guidance in (0.0, 1.0, 2.0):
        report = _run(
            MixtureModel(), tmp_path / str(guidance), guidance=guidance, steps=40, **changes
        )
        letters = _letters(report)
        shares.append(letters["W"] / letters.total())
    assert shares[0] < 0.2
    assert 0.8 < shares[1] < 0.97 < shares[2]


def test_excluded_activities_and_secondary_structure(tmp_path: Path) -> None:
    safe = _run(
        MixtureModel(), tmp_path / "a", activity=("antifungal",), excluded=("hemolytic",), num=16
    )
    assert _letters(safe)["W"] == 0
    unsafe = _run(MixtureModel(), tmp_path / "b", activity=("antifungal",), num=16)
    assert _letters(unsafe)["W"] > 0.7 * _letters(unsafe).total()
    shaped = _run(MixtureModel(), tmp_path / "c", length=None, secondary="HHHXXXCC")
    for record in shaped.records:
        assert (record.sequence[:3], record.sequence[6:]) == ("AAA", "GG")


def test_lengths_come_from_the_rarest_activity(tmp_path: Path) -> None:
    one = _run(MixtureModel(), tmp_path / "a", length=None, activity=("antimicrobial",), num=60)
    counts = Counter(record.length for record in one.records)
    assert set(counts) == {10, 11, 12}
    assert counts[12] > counts[10]
    both = _run(
        MixtureModel(), tmp_path / "b", length=None, activity=("antimicrobial", "antifungal")
    )
    assert {record.length for record in both.records} == {12}


@pytest.mark.parametrize("guidance", [1.0, 2.0])
def test_a_draw_has_the_same_bits_in_any_company(guidance: float) -> None:
    model = random_model()
    changes = {"guidance": guidance, "activity": ("antimicrobial",), "temperature": 1.0}
    latents: list[torch.Tensor] = []
    decode = model.decode

    def watch(x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        latents.append(x)
        return decode(x, mask)

    model.decode = watch  # type: ignore[method-assign]
    alone = _draw(model, [(5, 1)], **changes)
    for companions in (6, 9, 30):
        among = _draw(model, [(i, 0) for i in range(companions)] + [(5, 1)], **changes)
        assert among[-1] == alone[0]
        assert torch.equal(latents[-1][companions], latents[0][0])
        assert latents[-1].shape[0] == (companions // ROWS + 1) * ROWS
    assert len(set(among)) > 25


def test_the_network_sees_one_length_and_its_last_estimate() -> None:
    model = MixtureModel()
    whole: dict[str, Any] = {"guidance_range": (0.0, 1.0)}
    _draw(model, [(0, 0)], guidance=2.0, activity=("antimicrobial",), **whole)
    shapes, previous = zip(*model.calls, strict=True)
    assert set(shapes) == {(2 * ROWS, 9, model.latent_dim)}
    assert previous == (False, *[True] * 11)
    batches = batches_of([Draw(i, 0, 5 + i % 2, 0) for i in range(80)], CPU)
    assert [len({draw.length for draw in batch}) for batch in batches] == [1] * 4
    assert [len(batch) for batch in batches] == [32, 8, 32, 8]


def test_networks_without_self_conditioning_get_no_estimate() -> None:
    model = random_model(self_conditioning=False)
    assert len(_draw(model, [(0, 0)])[0]) == 9


def test_equal_runs_are_equal_and_other_seeds_are_not(tmp_path: Path) -> None:
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        _run(random_model(), tmp_path / name, seed=seed)
    assert _tree(tmp_path / "a") == _tree(tmp_path / "b")
    first, other = (
        {one.sequence for one in read_fasta(tmp_path / name / "peptides.fasta")} for name in "ac"
    )
    assert not first & other


class _KilledError(Exception):
    pass


@pytest.mark.parametrize("killed_at", [1, 3, 4])
def test_a_killed_run_goes_on_to_the_same_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed_at: int
) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)  # one batch after the other
    changes = {"num": 60, "length": "5-8", "activity": ("antimicrobial",), "attempts": 40}
    calls: list[int] = []
    limit = 1000

    def counted(*args: Any, **options: Any) -> Any:
        calls.append(1)
        if len(calls) > limit:
            raise _KilledError
        return draw_sequences(*args, **options)

    monkeypatch.setattr(sample, "draw_sequences", counted)
    _run(MixtureModel(), tmp_path / "whole", **changes)
    batches = len(calls)
    calls.clear()
    limit = killed_at
    with pytest.raises(_KilledError):
        _run(MixtureModel(), tmp_path / "cut", **changes)
    assert not (tmp_path / "cut" / "peptides.fasta").exists()
    calls.clear()
    limit = 1000
    report = _run(MixtureModel(), tmp_path / "cut", **changes)
    assert len(calls) == batches - killed_at  # what was drawn is not drawn again
    assert _tree(tmp_path / "cut") == _tree(tmp_path / "whole")
    assert len({record.sequence for record in report.records}) == 60


def test_a_larger_number_adds_and_changes_nothing(tmp_path: Path) -> None:
    changes = {"length": "5", "activity": ("antimicrobial",), "attempts": 40}
    small = _run(MixtureModel(), tmp_path / "grown", num=12, **changes)
    grown = _run(MixtureModel(), tmp_path / "grown", num=30, **changes)
    whole = _run(MixtureModel(), tmp_path / "whole", num=30, **changes)
    assert grown.records[:12] == small.records
    assert (grown.resumed, whole.resumed) == (12, 0)
    assert _tree(tmp_path / "grown") == _tree(tmp_path / "whole")
    with pytest.raises(InputError, match="holds 30 peptides, --num asks for 5"):
        _run(MixtureModel(), tmp_path / "grown", num=5, **changes)


def test_finished_runs_ask_the_model_nothing(tmp_path: Path) -> None:
    first = _run(MixtureModel(), tmp_path)
    model = MixtureModel()
    again = _run(model, tmp_path)
    assert again.records == first.records
    assert not model.calls


def test_other_settings_and_other_weights_are_refused(tmp_path: Path) -> None:
    _run(MixtureModel(), tmp_path)
    with pytest.raises(InputError, match="started with steps 12, now it is 13"):
        _run(MixtureModel(), tmp_path, num=7, steps=13)
    other = MixtureModel()
    other.table.neg_()
    with pytest.raises(InputError, match="started with weights_sha256"):
        _run(other, tmp_path, num=7)


def test_what_the_run_holds_is_drawn_again_from_the_model(tmp_path: Path) -> None:
    """Five residues, nine of ten K or L: some of the first draws are equal."""
    changes = {"num": 30, "length": "5", "activity": ("antimicrobial",), "attempts": 40}
    plain = _run(MixtureModel(), tmp_path / "plain", **changes, unique=False)
    unique = _run(MixtureModel(), tmp_path / "unique", **changes)
    assert len({record.sequence for record in plain.records}) < 30
    assert len({record.sequence for record in unique.records}) == 30
    assert unique.rejected == {"peptides the run holds already": unique.rejected.popitem()[1]}
    seen: set[str] = set()
    for before, after in zip(plain.records, unique.records, strict=True):
        if before.sequence not in seen:  # nothing wrong with the first draw
            assert after.sequence == before.sequence
        else:
            assert after.attempts > 1
        key = (after.index, after.attempts - 1)
        assert _draw(MixtureModel(), [key], **{**changes, "length": 5}) == [after.sequence]
        seen.add(after.sequence)


def _five_letters(model: Any, out: Path, **changes: Any) -> PeptideReport:
    return _run(model, out, num=20, length="5", activity=("antimicrobial",), attempts=40, **changes)


def test_training_peptides_are_drawn_again(tmp_path: Path) -> None:
    plain = _five_letters(MixtureModel(), tmp_path / "plain")
    texts = [record.sequence for record in plain.records]
    model = MixtureModel()
    model.seen = SeenPeptides.build([texts[3], texts[8]], np.ones((2, 3), dtype=np.int8))
    fresh = _five_letters(model, tmp_path / "fresh")
    found = [record.sequence for record in fresh.records]
    assert not {texts[3], texts[8]} & set(found)
    assert fresh.rejected["peptides the weights were trained on"] >= 2
    changed = [i for i, (a, b) in enumerate(zip(texts, found, strict=True)) if a != b]
    assert changed[:2] == [3, 8]
    assert all(texts[i] in found[:i] for i in changed[2:])  # else nothing changes
    key = (3, fresh.records[3].attempts - 1)
    again = _draw(MixtureModel(), [key], length=5, activity=("antimicrobial",))
    assert again == [found[3]]
    assert (plain.seen, fresh.seen) == (None, 2)
    for name, options in (("allowed", {"allow_known": True}), ("repeated", {"unique": False})):
        other = _five_letters(model, tmp_path / name, **options)
        assert texts[3] in [record.sequence for record in other.records]
        assert other.seen == 0


def test_peptides_to_avoid_do_not_come_out(tmp_path: Path) -> None:
    changes: dict[str, Any] = {"num": 20, "length": "5", "activity": ("antimicrobial",)}
    plain = _run(MixtureModel(), tmp_path / "plain", **changes, unique=False)
    avoid = sorted({record.sequence for record in plain.records})[:4]
    for unique in (True, False):
        settings = _settings(**changes, unique=unique, attempts=40)
        folder = tmp_path / str(unique)
        report = generate_peptides(MixtureModel(), settings, folder, device=CPU, avoid=avoid)
        assert not set(avoid) & {record.sequence for record in report.records}
        assert report.rejected["peptides to avoid"] >= 4
    with pytest.raises(InputError, match="started with avoid_sha256"):
        generate_peptides(MixtureModel(), settings, folder, device=CPU, avoid=avoid[:3])


@pytest.mark.parametrize(
    ("changes", "away"),
    [
        ({}, [0, -1, 1]),
        ({"guide_from": "null"}, [-1, -1, -1]),
        ({"guidance": 0.5}, [-1, -1, -1]),
    ],
)
def test_guidance_points_away_from_the_opposite(changes: dict[str, Any], away: list[int]) -> None:
    model, told = MixtureModel(), []
    model.length_counts[LABELS.index("hemolytic"), 9] = 1  # hemolytic peptides were seen
    denoise = model.denoise

    def watch(x: Any, mask: Any, timestep: Any, condition: Any, previous: Any) -> Any:
        told.append(condition)
        return denoise(x, mask, timestep, condition, previous)

    model.denoise = watch  # type: ignore[method-assign]
    asked: dict[str, Any] = {"activity": ("antimicrobial",), "excluded": ("hemolytic",)}
    asked |= {"guidance": 2.0, "guidance_range": (0.0, 1.0)}
    _draw(model, [(0, 0)], secondary="HHHHHHHHH", length=None, **asked | changes)
    condition = told[0]
    assert condition.labels[0].tolist() == [1, -1, 0]
    assert condition.labels[-1].tolist() == away
    assert condition.secondary[0].tolist() == [1] * 9
    assert condition.secondary[-1].tolist() == [0] * 9


def test_giving_up_is_recorded(tmp_path: Path) -> None:
    """A fixed first residue and one open place give 20 peptides, not 24."""
    report = _run(
        MixtureModel(), tmp_path, num=24, length=None, template="KAAAX", attempts=10, steps=6
    )
    assert 1 <= 24 - len(report.failed) <= 20
    failed = report.failed[0]
    assert failed.status == "failed"
    assert failed.reason == "none of 10 draws was good: 10 gave peptides the run holds already"
    rows = list(csv.DictReader((tmp_path / "peptides.csv").open()))
    assert rows[failed.index]["reason"] == failed.reason
    assert rows[failed.index]["sequence"] == ""
    assert len(read_fasta(tmp_path / "peptides.fasta")) == 24 - len(report.failed)


def test_numbers_that_are_not_finite_are_no_peptide(tmp_path: Path) -> None:
    model = MixtureModel()
    model.broken_length = 9
    report = _run(model, tmp_path, num=12, attempts=2)
    assert {record.length for record in report.failed} == {9}
    assert all("not finite" in record.reason for record in report.failed)
    assert {record.length for record in report.records} > {9}


def test_runs_and_entropy_can_be_limited(tmp_path: Path) -> None:
    changes: dict[str, Any] = {"activity": ("antifungal",), "num": 8, "attempts": 400}
    free = _run(MixtureModel(), tmp_path / "free", **changes)
    assert max(record.sequence.count("W") for record in free.records) >= 8
    short = _run(MixtureModel(), tmp_path / "run", **changes, max_run=6)
    assert all("WWWWWWW" not in record.sequence for record in short.records)
    assert set(short.rejected) == {"too long a run of one residue"}
    mixed = _run(MixtureModel(), tmp_path / "mixed", **changes, min_entropy=0.5)
    assert "too few kinds of residues" in mixed.rejected


def test_scores_enter_the_table(tmp_path: Path) -> None:
    def score(sequences: Any) -> Any:
        return [{"charge": one.count("K"), "odd": float("nan")} for one in sequences]

    generate_peptides(MixtureModel(), _settings(), tmp_path, device=CPU, score=score)
    rows = list(csv.DictReader((tmp_path / "peptides.csv").open()))
    assert [int(row["charge"]) for row in rows] == [row["sequence"].count("K") for row in rows]
    records = json.loads((tmp_path / "peptides.json").read_text())["peptides"]
    assert {record["scores"]["odd"] for record in records} == {None}


def test_temperature_spreads_residues() -> None:
    """At 0 the likeliest residue; far above 1 the latents hardly matter."""
    model = MixtureModel()
    keys = [(i, 0) for i in range(ROWS)]
    changes: dict[str, Any] = {"activity": ("antifungal",)}
    cold = "".join(_draw(model, keys, **changes))
    hot = "".join(_draw(model, keys, **changes, temperature=1000.0))
    assert cold.count("W") > 0.7 * len(cold)
    assert hot.count("W") < 0.3 * len(hot)
    assert draws.ROWS == ROWS
