"""Design runs with a model whose answer is known: helices with a little spread."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from foldwright.diffusion.process import Prediction, broadcast_to_sample
from foldwright.models.backbone import sample
from foldwright.models.backbone.config import DiffusionConfig, GenieConfig
from foldwright.models.backbone.design_settings import DesignSettings
from foldwright.models.backbone.model import BackboneModel
from foldwright.models.backbone.sample import design
from foldwright.models.backbone.traces import DesignItem
from foldwright.runtime.errors import FoldwrightError, InputError
from foldwright.runtime.seeds import derive_seed
from foldwright.structure.io import read_structure

CPU = torch.device("cpu")
SPREAD = 0.05
STEPS = 4


def _helix(length: int) -> Tensor:
    turn = torch.arange(length) * np.deg2rad(100)
    return torch.stack([2.3 * turn.cos(), 2.3 * turn.sin(), 1.5 * torch.arange(length)], -1)


class HelixModel(BackboneModel):
    """Exact denoiser of N(helix, SPREAD^2); the product mixes residues as attention does."""

    def __init__(self, **diffusion: Any) -> None:
        genie = GenieConfig(
            max_length=64,
            c_s=4,
            c_p=4,
            num_pair_layers=0,
            num_structure_layers=1,
            self_conditioning=True,
        )
        super().__init__(genie, DiffusionConfig(num_steps=100, **diffusion))
        self.seen: list[tuple[int, ...]] = []
        self.previous: list[Tensor | None] = []
        self.broken_length = 0

    def denoise(
        self,
        x: Tensor,
        mask: Tensor,
        timestep: Tensor,
        x0_self_condition: Tensor | None = None,
    ) -> Prediction:
        self.seen.append(tuple(x.shape))
        self.previous.append(x0_self_condition)
        mean = _helix(x.shape[1]) / self.coordinate_scale
        variance = (SPREAD / self.coordinate_scale) ** 2
        alpha_bar = broadcast_to_sample(self.process.alpha_bar(timestep), x)
        gain = alpha_bar.sqrt() * variance / (alpha_bar * variance + 1 - alpha_bar)
        x0 = mean + gain * (x - alpha_bar.sqrt() * mean)
        weights = torch.softmax(x0 @ x0.transpose(1, 2) / 100, -1)
        x0 = x0 + 1e-4 * weights @ x0
        if x.shape[1] == self.broken_length:
            x0 = x0 * torch.nan
        return Prediction(x0, self.process.epsilon_from_x0(x, x0, timestep))


@pytest.fixture
def model() -> HelixModel:
    return HelixModel().eval()


def _settings(**changes: Any) -> DesignSettings:
    return DesignSettings(**{"length": "24-40", "num": 4, "seed": 3, "steps": STEPS} | changes)


def _tree(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def _rows(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((folder / "scores.csv").open()))


@pytest.mark.parametrize("coordinate_scale", [1.0, 8.0])
def test_designs_are_complete_and_read_back(tmp_path: Path, coordinate_scale: float) -> None:
    model = HelixModel(coordinate_scale=coordinate_scale).eval()
    report = design(model, _settings(), tmp_path, device=CPU, score=lambda s: {"n": len(s.chains)})
    assert [record.status for record in report.records] == ["done"] * 4
    for record in report.records:
        assert record.seed == derive_seed(3, record.index)
        for suffix in (".cif", ".pdb"):
            (chain,) = read_structure(tmp_path / f"{record.name}{suffix}").protein_chains
            assert len(chain) == record.length
            assert bool(np.isfinite(chain.backbone()).all())
            bonds = np.linalg.norm(np.diff(chain.ca, axis=0), axis=1)
            np.testing.assert_allclose(bonds, 3.8, atol=0.5)
            np.testing.assert_allclose(chain.ca.mean(0), 0, atol=1e-3)
    rows = _rows(tmp_path)
    assert [row["name"] for row in rows] == [f"design_{i:05d}" for i in range(4)]
    assert {row["n"] for row in rows} == {"1"}
    run = json.loads((tmp_path / "run.json").read_text())
    assert run["settings"]["noise_scale"] == 0.7


@pytest.mark.parametrize(
    "extra",
    [
        {"sampler": "ddpm"},
        {"sampler": "ddim", "eta": 0.5},
        {"sampler": "ode"},
        {"sampler": "sde", "churn": 0.5},
    ],
)
def test_files_depend_on_neither_batch_nor_companions(
    model: HelixModel, tmp_path: Path, extra: dict[str, Any]
) -> None:
    design(model, _settings(**extra), tmp_path / "one", device=CPU)
    design(model, _settings(**extra, num=5, batch=3), tmp_path / "many", device=CPU)
    one, many = _tree(tmp_path / "one"), _tree(tmp_path / "many")
    shared = [name for name in one if name.startswith(("design_", "items/"))]
    assert len(shared) == 12
    assert all(one[name] == many[name] for name in shared)
    assert len({content for name, content in one.items() if name.endswith(".pdb")}) == 4


def test_real_network_is_bitwise_independent_of_the_batch(tmp_path: Path) -> None:
    """Lengths at which batched or padded matrix products round differently from single ones."""
    torch.manual_seed(0)
    genie = GenieConfig(
        max_length=128, c_s=32, c_p=16, num_pair_layers=1, c_triangle_multiplication=16
    )
    model = BackboneModel(genie, DiffusionConfig(num_steps=50)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    settings = _settings(length="60-90", num=3, steps=3)
    design(model, settings, tmp_path / "one", device=CPU)
    design(model, settings.model_copy(update={"batch": 3}), tmp_path / "many", device=CPU)
    assert _tree(tmp_path / "one") == _tree(tmp_path / "many")


def test_network_sees_one_unpadded_design_at_a_time_on_cpu(
    model: HelixModel, tmp_path: Path
) -> None:
    report = design(model, _settings(batch=4), tmp_path, device=CPU)
    lengths = [record.length for record in report.records]
    assert len(set(lengths)) > 1
    assert model.seen[:4] == [(1, length, 3) for length in lengths]
    assert model.previous[:4] == [None] * 4
    assert [tuple(p.shape) for p in model.previous[4:8] if p is not None] == model.seen[4:8]


def test_genie_compatible_models_are_sampled_at_their_full_length(tmp_path: Path) -> None:
    model = HelixModel(compat="genie-1").eval()
    report = design(model, _settings(num=2), tmp_path, device=CPU)
    assert set(model.seen) == {(1, 64, 3)}
    for record in report.records:
        (chain,) = read_structure(tmp_path / f"{record.name}.pdb").protein_chains
        assert len(chain) == record.length


def test_a_stopped_run_ends_with_the_same_files(model: HelixModel, tmp_path: Path) -> None:
    design(model, _settings(), tmp_path / "whole", device=CPU, score=lambda s: {"n": 1})
    seen = []

    def stop_at_the_third(structure: Any) -> dict[str, int]:
        seen.append(structure.name)
        if len(seen) == 3:
            raise KeyboardInterrupt
        return {"n": 1}

    out = tmp_path / "stopped"
    with pytest.raises(KeyboardInterrupt):
        design(model, _settings(), out, device=CPU, score=stop_at_the_third)
    assert [row["name"] for row in _rows(out)] == ["design_00000", "design_00001"]
    written = (out / "design_00001.pdb").stat().st_ino
    model.seen.clear()
    report = design(model, _settings(), out, device=CPU, score=lambda s: {"n": 1})
    assert report.resumed == 2
    assert len(model.seen) == 2 * STEPS
    assert (out / "design_00001.pdb").stat().st_ino == written
    assert _tree(out) == _tree(tmp_path / "whole")


def test_a_score_that_is_not_a_number_is_missing(model: HelixModel, tmp_path: Path) -> None:
    scores = {"order": float("nan"), "count": 3}
    design(model, _settings(num=1), tmp_path, device=CPU, score=lambda structure: scores)
    record = json.loads((tmp_path / "items" / "design_00000.json").read_text())
    assert record["scores"] == {"order": None, "count": 3}
    assert _rows(tmp_path)[0]["order"] == ""


def test_more_designs_can_be_added(model: HelixModel, tmp_path: Path) -> None:
    design(model, _settings(num=2), tmp_path / "a", device=CPU)
    report = design(model, _settings(num=4), tmp_path / "a", device=CPU)
    assert report.resumed == 2
    design(model, _settings(num=4), tmp_path / "b", device=CPU)
    assert _tree(tmp_path / "a") == _tree(tmp_path / "b")


def test_a_design_with_a_missing_file_is_made_again(model: HelixModel, tmp_path: Path) -> None:
    design(model, _settings(), tmp_path, device=CPU)
    before = _tree(tmp_path)
    (tmp_path / "design_00002.cif").unlink()
    assert design(model, _settings(), tmp_path, device=CPU).resumed == 3
    assert _tree(tmp_path) == before


def test_other_settings_in_the_same_folder_are_refused(model: HelixModel, tmp_path: Path) -> None:
    design(model, _settings(num=1), tmp_path, device=CPU)
    with pytest.raises(InputError) as caught:
        design(model, _settings(num=1, seed=4, noise_scale=0.5), tmp_path, device=CPU)
    text = str(caught.value)
    assert "seed 3, now it is 4" in text
    assert "noise_scale 0.7, now it is 0.5" in text
    with torch.no_grad():
        next(model.parameters()).add_(0.01)
    with pytest.raises(InputError, match=r"weights_sha256 '\w+', now it is"):
        design(model, _settings(num=1), tmp_path, device=CPU)


@pytest.mark.parametrize("name", ["run.json", "items/design_00000.json"])
def test_a_damaged_file_is_named(model: HelixModel, tmp_path: Path, name: str) -> None:
    design(model, _settings(num=1), tmp_path, device=CPU)
    (tmp_path / name).write_text('{"format": ')
    with pytest.raises(InputError, match=f"{name}: is damaged.*delete it"):
        design(model, _settings(num=1), tmp_path, device=CPU)


def test_a_failed_design_has_a_record_and_no_structure(model: HelixModel, tmp_path: Path) -> None:
    lengths = [r.length for r in design(model, _settings(), tmp_path / "a", device=CPU).records]
    model.broken_length = lengths[1]
    report = design(model, _settings(), tmp_path / "b", device=CPU)
    (failed,) = report.failed
    assert failed.index == 1
    assert f"{lengths[1]} residues are not finite" in failed.reason
    assert not list((tmp_path / "b").glob("design_00001.*"))
    assert [row["status"] for row in _rows(tmp_path / "b")].count("done") == 3
    model.broken_length = 0
    assert design(model, _settings(), tmp_path / "b", device=CPU).resumed == 3
    assert _tree(tmp_path / "a") == _tree(tmp_path / "b")


def test_a_full_device_says_which_batch_to_write(
    model: HelixModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> Prediction:
        raise torch.OutOfMemoryError("no memory")

    monkeypatch.setattr(model, "denoise", full)
    with pytest.raises(FoldwrightError, match=r"batch of 4 designs.*--batch 2"):
        design(model, _settings(batch=4), tmp_path, device=CPU)


def test_every_step_of_every_design_is_reported(model: HelixModel, tmp_path: Path) -> None:
    class Bar:
        total = done = 0

        def __enter__(self) -> "Bar":
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def advance(self, steps: int = 1, **fields: float | str) -> None:
            self.done += steps

        def skip(self, steps: int) -> None:
            raise AssertionError("designs that are there are not counted")

    bar = Bar()

    def factory(description: str, total: int) -> Bar:
        bar.total = total
        return bar

    design(model, _settings(batch=3, sampler="ode"), tmp_path, device=CPU, progress=factory)
    assert bar.done == bar.total == 4 * STEPS


def _model_with(pair: str) -> BackboneModel:
    sizes = {"c_s": 4, "c_p": 4, "num_pair_layers": 0, "num_structure_layers": 1}
    return BackboneModel(GenieConfig.model_validate({"pair": pair, **sizes}), DiffusionConfig())


@pytest.mark.parametrize(
    ("pair", "room", "expected"),
    [
        ("dense", 20_000, [[100, 90], [50, 40, 40, 40]]),
        ("factorized", 200, [[100, 90], [50, 40, 40, 40]]),
        ("sparse", 300, [[100, 90, 50], [40, 40, 40]]),
        ("dense", 1, [[100], [90], [50], [40], [40], [40]]),
    ],
)
def test_batches_fill_a_room_of_padded_pairs_or_of_residues(
    pair: str, room: int, expected: list[list[int]]
) -> None:
    items = [DesignItem(i, length, 0) for i, length in enumerate((100, 90, 50, 40, 40, 40))]
    batches = sample._fill(_model_with(pair), items, room)
    assert [[item.length for item in batch] for batch in batches] == expected


@pytest.mark.parametrize(("pair", "of_half_the_length"), [("dense", 40), ("sparse", 20)])
def test_room_is_that_of_the_free_memory(
    monkeypatch: pytest.MonkeyPatch, pair: str, of_half_the_length: int
) -> None:
    model = _model_with(pair)
    monkeypatch.setattr(model, "denoise", lambda *_: None)
    monkeypatch.setattr(sample.PeakMemory, "__exit__", lambda self, *_: setattr(self, "bytes", 7))
    monkeypatch.setattr(sample, "available_memory", lambda _: 10 * 7 / sample._MEMORY_SHARE + 0.1)
    room = sample._room(model, DesignItem(0, 50, 0), CPU)
    assert room // sample._size(model, 50) == 10
    assert room // sample._size(model, 25) == of_half_the_length


def test_lengths_are_drawn_evenly_and_belong_to_their_design(
    model: HelixModel, tmp_path: Path
) -> None:
    plan = sample.resolve_settings(_settings(length="30-39"), num_timesteps=100, max_length=64)
    drawn = [plan.lengths.draw(7, index) for index in range(2000)]
    counts = np.bincount(drawn, minlength=40)[30:]
    assert counts.sum() == 2000
    assert counts.min() > 140
    assert counts.max() < 260
    assert drawn[11] == plan.lengths.draw(7, 11) != plan.lengths.draw(8, 11)


CONFLICTS: list[tuple[dict[str, Any], str]] = [
    ({"sampler": "ddim", "noise_scale": 0.5}, "--noise-scale: is not read by.*write --eta"),
    ({"sampler": "ddim", "churn": 0.5}, "--churn: is not read by.*write --eta"),
    ({"sampler": "ode", "noise_scale": 0.5}, "--noise-scale.*deterministic.*--sampler sde"),
    ({"sampler": "ode", "eta": 0.5}, "--eta.*deterministic.*--sampler ddim"),
    ({"sampler": "ode", "churn": 0.5}, "--churn.*deterministic.*--sampler sde"),
    ({"sampler": "ddpm", "eta": 0.5}, "--eta.*write --noise-scale"),
    ({"sampler": "ddpm", "churn": 0.5}, "--churn.*write --noise-scale"),
    ({"sampler": "sde", "eta": 0.5}, "--eta.*write --churn and --noise-scale"),
    ({"sampler": "sde", "churn": 0.0, "noise_scale": 0.5}, "scales nothing with --churn 0"),
    ({"noise_scale": -0.1}, "--noise-scale: must be between 0 and 2: got -0.1"),
    ({"noise_scale": float("nan")}, "--noise-scale: must be between 0 and 2: got nan"),
    ({"sampler": "ddim", "eta": 1.5}, "--eta: must be between 0 and 1: got 1.5"),
    ({"steps": 101}, "--steps: must be between 1 and 100.*got 101"),
    ({"steps": 0}, "--steps: must be between 1 and 100.*got 0"),
    ({"num": 0}, "--num: must be 1 or more: got 0"),
    ({"batch": 0}, "--batch: must be 1 or more"),
    ({"seed": -1}, "--seed: must be 0 or more"),
    ({"length": "19"}, "--length: must be 20 residues or more: got 19"),
    ({"length": "30-65"}, "--length: .*up to 64 residues: got 65"),
    ({"length": "40-30"}, "--length: the shorter length comes first: write 30-40"),
    ({"length": "long"}, "--length: expected 128 or 80-120: got 'long'"),
]


@pytest.mark.parametrize(("changes", "message"), CONFLICTS)
def test_settings_that_make_no_sense_are_refused(
    model: HelixModel, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        design(model, _settings(**changes), tmp_path / "out", device=CPU)
    assert not (tmp_path / "out").exists()


def test_all_problems_are_reported_at_once(model: HelixModel, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        design(model, _settings(num=0, steps=0, length="5"), tmp_path, device=CPU)
    assert len(caught.value.problems) == 3


@pytest.mark.parametrize(
    ("sampler", "steps", "options"),
    [
        ("ddpm", 1000, {"noise_scale": 0.6}),
        ("ddim", 100, {"eta": 0.0}),
        ("ode", 50, {}),
        ("sde", 100, {"noise_scale": 0.7, "churn": 1.0}),
    ],
)
def test_open_settings_take_the_samplers_defaults(
    sampler: str, steps: int, options: dict[str, float]
) -> None:
    settings = _settings(sampler=sampler, steps=None)
    plan = sample.resolve_settings(settings, num_timesteps=1000, max_length=64).sampler
    assert (plan.num_steps, plan.options) == (steps, options)
    short = sample.resolve_settings(settings, num_timesteps=40, max_length=64).sampler
    assert short.num_steps == 40
