"""OpenFold3 weights: every name, every number, and files that are refused."""

from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from foldwright.models.fold.config import FoldConfig, FoldSamplerConfig
from foldwright.models.fold.family import FAMILIES, Family
from foldwright.models.fold.family_inputs import family_inputs
from foldwright.models.fold.network.fold_network import FoldNetwork
from foldwright.models.fold.plan import FoldPlan
from foldwright.models.fold.predict import predict, seeded_fold_draws
from foldwright.models.fold.weights.families import checkpoint_problems, identified
from foldwright.models.fold.weights.load import (
    convert_weights,
    empty_network,
    inspect_weights,
    load_fold,
    read_weights,
)
from foldwright.runtime.errors import FoldwrightError, InputError
from tests.models.fold.family_results import (
    kept_results,
    our_results,
    stored_results,
    stored_shapes,
)
from tests.models.fold.golden_files import relative_error
from tests.models.fold.mixed_input import few_atoms, mixed_input, seeded_parameters

TOLERANCE = 5e-6
TRANSFORMER = "diffusion_module.diffusion_transformer"
LOGITS = "linear_z.weight"
FEW = "few atoms, "
VERSION = {"version_tensor": torch.tensor([2.0, 0.0, 0.0])}


@pytest.fixture(scope="module")
def parameters() -> dict[str, Tensor]:
    return seeded_parameters(stored_shapes("openfold3", "reduced"))


@pytest.fixture(scope="module")
def file(parameters: dict[str, Tensor], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("openfold3") / "weights.pt"
    torch.save(parameters | VERSION, path)
    return path


@pytest.fixture(scope="module")
def network(file: Path) -> FoldNetwork:
    return load_fold(file)


def saved(tensors: object, folder: Path) -> Path:
    path = folder / "changed.pt"
    torch.save(tensors, path)
    return path


def norm(block: int) -> str:
    """The name of a norm that only preview weights have."""
    return f"{TRANSFORMER}.blocks.{block}.attention_pair_bias.layer_norm_z.weight"


def preview_shapes() -> dict[str, list[int]]:
    """Names and shapes of the preview weights: a norm in every block in place of one for all."""
    shapes = stored_shapes("openfold3", "reduced")
    shape = shapes.pop(f"{TRANSFORMER}.layer_norm_z.weight")
    blocks = [
        name for name in shapes if name.startswith(TRANSFORMER) and name.endswith(f".{LOGITS}")
    ]
    return shapes | {norm(block): shape for block in range(len(blocks))}


def test_preview_results_are_the_packages(tmp_path: Path) -> None:
    network = load_fold(saved(seeded_parameters(preview_shapes()), tmp_path))
    assert network.config.family == "openfold3-preview"
    found, expected = (
        kept_results(our_results(network, few_atoms())),
        stored_results("openfold3-preview"),
    )
    errors = {name: relative_error(found[name], expected[name]) for name in expected}
    assert max(errors.values()) < TOLERANCE, errors


def differences(network: FoldNetwork) -> dict[str, float]:
    """Relative differences to the package's numbers, all of them or those of few atoms."""
    expected = stored_results("openfold3")
    found = kept_results(our_results(network, mixed_input()))
    few = our_results(network, few_atoms())
    found |= {name: few[name.removeprefix(FEW)] for name in expected if name.startswith(FEW)}
    assert found.keys() == expected.keys()
    return {name: relative_error(found[name], expected[name]) for name in expected}


def test_results_are_the_packages(network: FoldNetwork) -> None:
    errors = differences(network)
    assert max(errors.values()) < TOLERANCE, errors


def test_prediction_takes_the_inputs_of_alphafold3(network: FoldNetwork) -> None:
    given = mixed_input()
    config = FoldSamplerConfig(num_recycles=1, steps=3)
    plan = FoldPlan(keep_logits=False, samples_together=1, factors_at_once=1)
    found = [
        predict(
            network, inputs, config, num_samples=1, draws=seeded_fold_draws(inputs, 5), plan=plan
        )
        for inputs in (given, family_inputs(given, network.config.differences))
    ]
    positions = found[0].positions[0]
    assert torch.isfinite(positions[given.reference.real]).all()
    assert torch.equal(positions, found[1].positions[0])
    assert torch.equal(found[0].confidence[0].lddt, found[1].confidence[0].lddt)


def change_family(monkeypatch: pytest.MonkeyPatch, **changed: object) -> None:
    other = replace(FAMILIES["openfold3"], **changed)
    monkeypatch.setitem(cast(dict[str, Family], FAMILIES), "openfold3", other)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("symmetric_bonds", False),
        ("windows", "given"),
        ("hides_unplaced_atoms", True),
        ("gap_templates", "none"),
        ("gap_templates", "first"),
        ("aligned_chains", "all"),
    ],
)
def test_declared_differences_change_the_numbers(
    file: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: object
) -> None:
    change_family(monkeypatch, **{name: value})
    errors = differences(load_fold(file))
    assert max(errors.values()) > 100 * TOLERANCE, errors


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("num_classes", 31),
        ("last_alignment_update", True),
        ("stored_noise_table", False),
        ("packed_atoms", None),
    ],
)
def test_declared_differences_change_the_parameters(
    file: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: object
) -> None:
    change_family(monkeypatch, **{name: value})
    with pytest.raises(InputError, match="tensor"):
        load_fold(file)


def test_released_checkpoint_is_covered_both_ways() -> None:
    shapes = stored_shapes("openfold3", "released")
    tensors = {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}
    prepared, config = identified(tensors | VERSION, "released")
    assert config == FoldConfig(family="openfold3")
    network = empty_network(config)
    assert checkpoint_problems(prepared, network) == []
    del prepared["linear_s.weight"]
    assert checkpoint_problems(prepared, network) == ["tensor linear_s.weight is missing"]


@pytest.mark.parametrize("kind", ["twice", "averaged", "wrapped", "safetensors"])
def test_every_way_of_keeping_them_is_read(
    parameters: dict[str, Tensor], tmp_path: Path, kind: str
) -> None:
    twins = {
        f"sample_diffusion.{name}": value
        for name, value in parameters.items()
        if name.startswith("diffusion_module.")
    }
    if kind == "safetensors":
        path = tmp_path / "weights.safetensors"
        save_file({f"model.{name}": value for name, value in parameters.items()}, path)
    elif kind == "averaged":
        noise = {f"model.{name}": torch.zeros(1) for name in parameters}
        path = saved({"ema": {"params": parameters, "decay": 0.9}, "state_dict": noise}, tmp_path)
    elif kind == "wrapped":
        path = saved({"state_dict": {f"model.{n}": v for n, v in parameters.items()}}, tmp_path)
    else:
        path = saved(parameters | twins, tmp_path)
    found = read_weights(path, None).tensors
    assert found.keys() == parameters.keys()
    assert all(torch.equal(found[name], value) for name, value in parameters.items())


def test_converted_weights_need_no_configuration(
    file: Path, network: FoldNetwork, tmp_path: Path
) -> None:
    out = tmp_path / "converted.safetensors"
    assert convert_weights(file, None, out) == len(list(network.parameters()))
    found = load_fold(out)
    assert found.config == network.config
    for name, value in network.named_parameters():
        assert torch.equal(found.get_parameter(name), value), name
    with pytest.raises(InputError, match=r"has weights of OpenFold3.*set family: openfold3"):
        load_fold(out, FoldConfig())


def test_inspection_tells_family_and_sizes(file: Path, parameters: dict[str, Tensor]) -> None:
    summary = inspect_weights(file)
    assert (summary.family, summary.problems) == ("OpenFold3 0.5 (openbind)", ())
    assert summary.values == sum(value.numel() for value in parameters.values())
    assert (summary.config.num_trunk_blocks, summary.config.diffusion.num_super_blocks) == (2, 1)


TOKEN = "diffusion_module.linear_s.weight"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"linear_s.weight": None}, "tensor linear_s.weight is missing"),
        ({"pairformer_stack.extra": torch.zeros(1)}, "pairformer_stack.extra is not a part"),
        ({"linear_t.weight": torch.zeros(2, 2)}, "linear_t.weight is not a part"),
        ({"input_embedder.linear_s.weight": torch.zeros(32, 88)}, "has 88 columns, expected 89"),
        ({"layer_norm_s.bias": torch.zeros(31)}, r"layer_norm_s.bias \(31,\) gives .*\(32,\)"),
        (VERSION | {norm(0): torch.ones(32)}, r"version \[2.0, 0.0, 0.0\], expected \[1.0"),
        ({"version_tensor": torch.tensor([1.0, 0, 0])}, r"expected \[2.0, 0.0, 0.0\]"),
        ({f"sample_diffusion.{TOKEN}": torch.zeros(48, 32)}, "differs from its copy"),
        ({"aux_heads.pairformer_embedding.linear_i.weight": None}, "of no family"),
    ],
)  # fmt: skip
def test_wrong_checkpoints_name_the_first_bad_tensor(
    parameters: dict[str, Tensor], tmp_path: Path, change: dict[str, Tensor | None], message: str
) -> None:
    changed = {name: value for name, value in (parameters | change).items() if value is not None}
    path = saved(changed, tmp_path)
    with pytest.raises(InputError, match=message):
        load_fold(path)


def test_other_objects_of_a_training_checkpoint_are_not_looked_up(
    parameters: dict[str, Tensor], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="holds no parameters"):
        load_fold(saved({"weights": FoldConfig()}, tmp_path))
    whole = saved({"state_dict": parameters, "hyper_parameters": FoldConfig()}, tmp_path)
    other = tmp_path / "alone.pt"
    torch.save(parameters, other)
    alone = load_fold(other).state_dict()
    for name, value in load_fold(whole).state_dict().items():
        assert torch.equal(value, alone[name])


def test_files_that_are_cut_or_hold_no_weights_are_refused(file: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.pt"
    cut.write_bytes(file.read_bytes()[:5000])
    with pytest.raises(FoldwrightError, match=r"cut.pt"):
        load_fold(cut)
    with pytest.raises(InputError, match="holds no parameters"):
        load_fold(saved({"epoch": 3}, tmp_path))
    with pytest.raises(InputError, match="does not exist"):
        load_fold(tmp_path / "absent.ckpt")
