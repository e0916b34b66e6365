"""Checkpoints in the layout of Lightning, sound, damaged and hostile; all are made here."""

import json
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from foldwright.models.backbone.config import GenieConfig
from foldwright.models.backbone.genie_checkpoint import load_genie
from foldwright.models.backbone.model import BackboneModel
from foldwright.models.backbone.network import GenieDenoiser
from foldwright.runtime.errors import InputError
from tests.models.backbone.small_models import small_model, walks

CONFIGURATION = """\
name tiny
maximumNumResidues 32
singleFeatureDimension 12
pairFeatureDimension 10
positionalEmbeddingDimension 8
timestepEmbeddingDimension 6
relativePositionK 4
numPairTransformLayers 1
includeTriangularAttention True
triangularMultiplicativeHiddenDimension 6
triangularAttentionHiddenDimension 3
triangularAttentionNumHeads 2
pairTransitionN 2
numStructureLayers 2
ipaHiddenDimension 4
ipaNumHeads 2
ipaNumQkPoints 2
ipaNumVPoints 2
numTimesteps 100
"""


@pytest.fixture
def original() -> BackboneModel:
    return small_model(dtype=torch.float32)


def lightning(network: torch.nn.Module, **changes: Any) -> dict[str, Any]:
    """What pytorch-lightning keeps beside the weights."""
    state = OrderedDict((f"model.{name}", value) for name, value in network.state_dict().items())
    adam = {"step": torch.tensor(3.0), "exp_avg": torch.zeros(2), "exp_avg_sq": torch.zeros(2)}
    return {
        "epoch": 4,
        "global_step": 120,
        "pytorch-lightning_version": "2.6.6",
        "state_dict": state,
        "loops": {"fit_loop": {"epoch_progress": {"current": {"completed": 5}}}},
        "callbacks": {"ModelCheckpoint{'monitor': None}": {"best_model_path": "x"}},
        "optimizer_states": [{"state": {0: adam}, "param_groups": [{"lr": 1e-4, "params": [0]}]}],
        "lr_schedulers": [],
    } | changes


def write(folder: Path, content: Mapping[str, Any], *, up: int = 0) -> Path:
    """A checkpoint, with its configuration `up` folders above it."""
    path = folder / "tiny" / "version_0" / "checkpoints" / "epoch=4.ckpt"
    path.parent.mkdir(parents=True)
    torch.save(dict(content), path)
    (path.parents[up] / "configuration").write_text(CONFIGURATION)
    return path


def assert_same(found: BackboneModel, original: BackboneModel) -> None:
    stored = original.network.state_dict()
    assert found.network.state_dict().keys() == stored.keys()
    for name, value in found.network.state_dict().items():
        assert torch.equal(value, stored[name]), name


def test_network_has_the_tensors_of_the_published_files(shared_golden: Path) -> None:
    shapes = json.loads((shared_golden / "genie" / "state_dict_shapes.json").read_text())
    with torch.device("meta"):
        network = GenieDenoiser(GenieConfig(max_length=128), num_timesteps=1000)
    found = {f"model.{name}": list(value.shape) for name, value in network.state_dict().items()}
    assert len(found) == 325
    assert found == shapes["state_dict"]


@pytest.mark.parametrize("up", [0, 1, 2])
def test_weights_arrive_bit_by_bit_wherever_the_settings_lie(tmp_path, original, up) -> None:
    path = write(tmp_path, lightning(original.network), up=up)
    found = load_genie(path)
    assert_same(found, original)
    assert found.genie == original.genie
    assert not found.training
    ca, mask = walks([9], dtype=torch.float32)[0][None], torch.ones(1, 9, dtype=torch.bool)
    with torch.no_grad():
        results = [m.denoise(ca, mask, torch.tensor([7])).x0 for m in (found, original)]
    assert torch.equal(*results)


def test_named_settings_and_plain_text_paths(tmp_path, original) -> None:
    path = write(tmp_path, lightning(original.network))
    place = path.with_name("configuration").rename(tmp_path / "elsewhere.txt")
    assert_same(load_genie(str(path), configuration=str(place)), original)


def test_settings_that_are_nowhere(tmp_path, original) -> None:
    path = write(tmp_path, lightning(original.network), up=2)
    (path.parents[2] / "configuration").rename(tmp_path / "configuration")
    with pytest.raises(InputError, match="needs the text file of its settings; looked for") as e:
        load_genie(path)
    assert [str(path.parents[up] / "configuration") in str(e.value) for up in range(4)] == [
        True, True, True, False,
    ]  # fmt: skip


class Foreign:
    """Stands for a class of Lightning; looking it up or building it leaves a mark."""

    mark: Path

    def __reduce__(self) -> Any:
        return _leave_mark, (str(self.mark),)


def _leave_mark(path: str) -> None:
    Path(path).write_text("executed")


class Stateful(OrderedDict):
    """A container subclass with a state of its own, as callbacks of Lightning 1.x have."""


def test_foreign_classes_are_neither_imported_nor_executed(tmp_path, original) -> None:
    """The file does leave its mark when plain pickle reads it, so the test can fail."""
    foreign, keeper = Foreign(), Stateful(a=1)
    foreign.mark = tmp_path / "mark"
    keeper.hidden = 3
    callbacks = {Foreign: [foreign], "keeper": keeper, "slice": slice(1, 2)}
    path = write(tmp_path, lightning(original.network, callbacks=callbacks))
    assert_same(load_genie(path), original)
    assert not foreign.mark.exists()
    torch.load(path, weights_only=False)
    assert foreign.mark.read_text() == "executed"


def test_class_of_a_module_that_does_not_exist(tmp_path, original) -> None:
    """What reads as a module name in the file is never looked up."""
    path = write(tmp_path, lightning(original.network, callbacks=Stateful(a=1)))
    name = Stateful.__module__.encode()
    assert name in path.read_bytes()
    _rewrite(path, name, b"nowhere" + name[len(b"nowhere") :])
    assert_same(load_genie(path), original)


def _rewrite(path: Path, old: bytes, new: bytes) -> None:
    """Replace bytes in the pickle of the archive, whose checksum must fit again."""
    with zipfile.ZipFile(path) as archive:
        members = [(info, archive.read(info)) for info in archive.infolist()]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for info, data in members:
            archive.writestr(info.filename, data.replace(old, new))


def test_weight_of_a_foreign_class_is_no_tensor(tmp_path, original) -> None:
    foreign = Foreign()
    foreign.mark = tmp_path / "mark"
    content = lightning(original.network)
    name = next(iter(content["state_dict"]))
    content["state_dict"][name] = foreign
    path = write(tmp_path, content)
    with pytest.raises(InputError, match=f"{name.removeprefix('model.')}: is not a tensor"):
        load_genie(path)
    assert not foreign.mark.exists()


def _without(state: dict[str, Tensor], name: str) -> None:
    del state[name]


def _with_nan(state: dict[str, Tensor], name: str) -> None:
    state[name] = state[name].clone()
    state[name].view(-1)[2] = torch.nan


def _with_other_shape(state: dict[str, Tensor], name: str) -> None:
    state[name] = torch.zeros(5, 7)


def _with_one_more(state: dict[str, Tensor], name: str) -> None:
    state["model.extra.weight"] = state[name]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_without, "single_feature_net.linear.weight: is missing"),
        (_with_nan, "not finite: single_feature_net.linear.weight has 1 non-finite"),
        (_with_other_shape, r"linear.weight: has shape \(5, 7\), expected \(12, 14\)"),
        (_with_one_more, "extra.weight: is not part of the configured network"),
    ],
)
def test_tensors_that_do_not_fit(tmp_path, original, damage, message) -> None:
    content = lightning(original.network)
    damage(content["state_dict"], "model.single_feature_net.linear.weight")
    with pytest.raises(InputError, match=message):
        load_genie(write(tmp_path, content))


def test_settings_of_another_checkpoint_are_said_shortly(tmp_path, original) -> None:
    path = write(tmp_path, lightning(original.network))
    text = CONFIGURATION.replace("singleFeatureDimension 12", "singleFeatureDimension 16")
    path.with_name("configuration").write_text(text)
    with pytest.raises(InputError) as caught:
        load_genie(path)
    problems = caught.value.problems
    assert len(problems) == 11
    assert "more tensors do not fit; the configuration belongs to another" in str(problems[-1])


def test_damaged_and_other_files(tmp_path, original) -> None:
    whole = write(tmp_path, lightning(original.network))
    cut, text, empty = (whole.with_name(name) for name in ("cut.ckpt", "text.ckpt", "empty.ckpt"))
    cut.write_bytes(whole.read_bytes()[:-2000])
    text.write_text("not a checkpoint at all\n" * 20)
    empty.touch()
    plain = whole.with_name("plain.ckpt")
    plain.write_bytes(pickle.dumps({"state_dict": {}}, protocol=2))
    for path in (cut, text, empty, plain):
        with pytest.raises(InputError, match=f"{path.name}: cannot be read as a checkpoint"):
            load_genie(path)
    with pytest.raises(InputError, match=r"absent.ckpt: no such checkpoint"):
        load_genie(whole.with_name("absent.ckpt"))


@pytest.mark.parametrize("content", [{"epoch": 1}, {"state_dict": {}}, {"state_dict": 3}])
def test_file_without_weights(tmp_path, content) -> None:
    with pytest.raises(InputError, match="holds no `state_dict`; expected a Genie checkpoint"):
        load_genie(write(tmp_path, content))
