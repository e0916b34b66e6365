"""Protenix weights: every name of five published networks, every number, and refused files."""

import re
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
import torch
from torch import Tensor

from foldwright.models.fold.config import (
    AtomConfig,
    DenoiserConfig,
    FoldConfig,
    FoldSamplerConfig,
)
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
)
from foldwright.models.fold.windows import atom_layout
from foldwright.runtime.errors import InputError
from tests.models.fold.family_results import kept_results, our_results, stored_results
from tests.models.fold.golden_files import relative_error
from tests.models.fold.mixed_input import (
    GAP,
    UNKNOWN,
    few_atoms,
    mixed_input,
    seeded_parameters,
)
from tests.models.fold.protenix_shapes import protenix_shapes

TOLERANCE = 5e-6
FEW = "few atoms, "
LOWER = torch.arange(39) * 1.25 + 3.25
EDGES = {
    "confidence_head.lower_bins": LOWER,
    "confidence_head.upper_bins": torch.cat([LOWER[1:], torch.tensor([1e6])]),
}
BASE = {"family": "protenix", "num_msa_rows": 16384, "msa_width": 64}
NO_TEMPLATES = {"num_template_blocks": 0}
MINI = {
    **NO_TEMPLATES,
    "num_msa_blocks": 1,
    "msa_width": None,
    "atoms": AtomConfig(num_diffusion_blocks=1),
}
PUBLISHED = {
    "protenix_base_default_v0.5.0": NO_TEMPLATES,
    "protenix_base_default_v1.0.0": {
        "template_heads": 4,
        "template_head_width": 32,
        "template_triangle_channels": 128,
    },
    "protenix-v2": {
        "pair_channels": 256,
        "msa_channels": 128,
        "pair_heads": 8,
        "template_heads": 2,
        "template_head_width": 32,
        "template_triangle_channels": 64,
        "diffusion": DenoiserConfig(pair_channels=256),
    },
    "protenix_mini_default_v0.5.0": {
        **MINI,
        "diffusion": DenoiserConfig(num_super_blocks=2),
    },
    "protenix_tiny_default_v0.5.0": {
        **MINI,
        "diffusion": DenoiserConfig(num_super_blocks=2),
    },
}
"""What differs between the published networks beside the depth of the trunk (48, 16 in mini, 8 in
tiny), as the package's settings say."""
WHOLE = "protenix_base_default_v1.0.0"
REPEATED = re.compile(r"pairformer_stack\.blocks\.([2-9]|\d\d)\.")


@pytest.fixture(scope="module")
def parameters() -> dict[str, Tensor]:
    shapes = protenix_shapes("reduced")
    return seeded_parameters({n: shape for n, shape in shapes.items() if n not in EDGES}) | EDGES


@pytest.fixture(scope="module")
def file(parameters: dict[str, Tensor], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(parameters, tmp_path_factory.mktemp("protenix"))


def saved(parameters: dict[str, Tensor], folder: Path) -> Path:
    """A checkpoint as the package keeps it after training on several machines."""
    path = folder / "protenix.pt"
    wrapped = {f"module.{name}": value for name, value in parameters.items()}
    torch.save({"model": wrapped, "step": 3}, path)
    return path


def without_templates(parameters: dict[str, Tensor]) -> dict[str, Tensor]:
    start = "template_embedder.pairformer_stack.blocks."
    return {name: value for name, value in parameters.items() if not name.startswith(start)}


def errors_of(network: FoldNetwork) -> dict[str, float]:
    """Relative differences to the package's numbers."""
    found, expected = kept_results(our_results(network, mixed_input())), stored_results("protenix")
    return {name: relative_error(found[name], expected[name]) for name in found}


def test_results_are_the_packages(file: Path) -> None:
    network = load_fold(file)
    errors, expected = errors_of(network), stored_results("protenix")
    few = our_results(network, few_atoms())
    for name in expected.keys() - errors.keys():
        errors[name] = relative_error(few[name.removeprefix(FEW)], expected[name])
    assert max(errors.values()) < TOLERANCE, errors


def test_prediction_takes_the_inputs_of_alphafold3(file: Path) -> None:
    network, given = load_fold(file), mixed_input()
    config = FoldSamplerConfig(num_recycles=0, steps=2)
    plan = FoldPlan(keep_logits=False, samples_together=1, factors_at_once=1)
    found = [
        predict(
            network, inputs, config, num_samples=1, draws=seeded_fold_draws(inputs, 5), plan=plan
        )
        for inputs in (given, family_inputs(given, network.config.differences))
    ]
    positions = found[0].positions[0]
    assert bool(torch.isfinite(positions[given.reference.real]).all())
    assert torch.equal(positions, found[1].positions[0])
    assert torch.equal(found[0].confidence[0].lddt, found[1].confidence[0].lddt)


def test_ligands_are_unknown_residues_in_the_alignment() -> None:
    inputs = mixed_input()
    changed, ligand = family_inputs(inputs, FAMILIES["protenix"]).alignment, slice(18, 22)
    assert bool((changed.rows[:, ligand] == UNKNOWN).all())
    assert torch.equal(changed.profile[ligand].argmax(1), torch.full((4,), UNKNOWN))
    assert torch.equal(changed.profile[ligand].sum(1), torch.ones(4))
    assert torch.equal(changed.rows[:, :12], inputs.alignment.rows[:, :12])


def change_family(monkeypatch: pytest.MonkeyPatch, name: str, value: object) -> None:
    other = replace(FAMILIES["protenix"], **{name: value})
    monkeypatch.setitem(cast(dict[str, Family], FAMILIES), "protenix", other)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("symmetric_bonds", False),
        ("windows", "shifted"),
        ("hides_unplaced_atoms", False),
        ("turned_bias", False),
        ("chained_norms", False),
        ("gap_templates", "none"),
        ("aligned_chains", "polymers"),
        ("sums_before_scores", False),
    ],
)
def test_declared_differences_change_the_numbers(
    file: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: object
) -> None:
    change_family(monkeypatch, name, value)
    assert max(errors_of(load_fold(file)).values()) > 100 * TOLERANCE


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("num_classes", 31),
        ("last_alignment_update", True),
        ("stored_noise_table", False),
        ("packed_atoms", 23),
        ("projects_relative", False),
        ("distogram_bias", False),
        ("scores_normed_single", False),
        ("scores_lengths", False),
    ],
)
def test_declared_differences_change_the_parameters(
    file: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: object
) -> None:
    change_family(monkeypatch, name, value)
    with pytest.raises(InputError, match="tensor"):
        load_fold(file)


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_networks_are_covered_both_ways(name: str) -> None:
    """Those that only repeat blocks of another are shortened to two blocks of the trunk."""
    shapes, changes = protenix_shapes(name), BASE | PUBLISHED[name]
    if name != WHOLE:
        shapes = {key: shape for key, shape in shapes.items() if not REPEATED.match(key)}
        changes |= {"num_trunk_blocks": 2}
    tensors = {key: torch.empty(shape, device="meta") for key, shape in shapes.items()}
    prepared, config = identified(tensors | EDGES, name)
    assert config == FoldConfig(**changes)
    network = empty_network(config)
    assert checkpoint_problems(prepared, network) == []
    del prepared["linear_no_bias_s.weight"]
    assert checkpoint_problems(prepared, network) == ["tensor linear_no_bias_s.weight is missing"]


def test_checkpoint_without_template_blocks_reads_no_templates(
    parameters: dict[str, Tensor], tmp_path: Path
) -> None:
    network = load_fold(saved(without_templates(parameters), tmp_path))
    inputs = mixed_input()
    empty = replace(inputs.templates, mask=torch.zeros_like(inputs.templates.mask))
    found = our_results(network, inputs)
    assert torch.equal(
        found["pair"], our_results(network, replace(inputs, templates=empty))["pair"]
    )
    with_templates = stored_results("protenix")["pair"]
    assert relative_error(kept_results(found)["pair"], with_templates) > 0.01


def test_converted_weights_need_no_configuration(file: Path, tmp_path: Path) -> None:
    out = tmp_path / "converted.safetensors"
    expected = load_fold(file)
    assert convert_weights(file, None, out) == len(list(expected.parameters()))
    found = load_fold(out)
    assert found.config == expected.config
    for name, value in expected.named_parameters():
        assert torch.equal(found.get_parameter(name), value), name


def test_inspection_tells_family_and_sizes(file: Path) -> None:
    summary = inspect_weights(file)
    assert (summary.family, summary.problems) == ("Protenix", ())
    assert (summary.config.num_template_blocks, summary.config.num_trunk_blocks) == (1, 2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"linear_no_bias_s.weight": None}, "tensor linear_no_bias_s.weight is missing"),
        ({"pairformer_stack.extra": torch.zeros(1)}, "pairformer_stack.extra is not a part"),
        ({"linear_no_bias_sinit.weight": torch.zeros(32, 88)}, "has 88 columns, expected 89"),
        ({"layernorm_s.bias": torch.zeros(31)}, r"layernorm_s.bias \(31,\) gives .*\(32,\)"),
        ({"confidence_head.lower_bins": LOWER + 1}, "other edges of bins"),
        ({"confidence_head.upper_bins": None}, "upper_bins is missing"),
        ({"input_embedder.linear_esm.weight": torch.zeros(1)}, "protein language model"),
        ({"constraint_embedder.pocket_z_embedder.weight": torch.zeros(1)}, "reads constraints"),
        ({"confidence_head.linear_no_bias_d_wo_onehot.weight": None}, "of no family"),
        ({"template_embedder.linear_no_bias_a.weight": torch.zeros(16, 107)}, "has 107 columns"),
    ],
)  # fmt: skip
def test_wrong_checkpoints_name_the_first_bad_tensor(
    parameters: dict[str, Tensor], tmp_path: Path, change: dict[str, Tensor | None], message: str
) -> None:
    changed = {name: value for name, value in (parameters | change).items() if value is not None}
    with pytest.raises(InputError, match=message):
        load_fold(saved(changed, tmp_path))


def test_keys_lie_around_their_queries() -> None:
    real = mixed_input().reference.real
    layout, count = atom_layout(real, shifted=False), int(real.sum())
    first = torch.arange(0, count, 32)
    expected = first[:, None] - 48 + torch.arange(128)
    inside = (expected >= 0) & (expected < count)
    assert torch.equal(layout.queries_to_keys.mask, inside)
    assert torch.equal(layout.queries_to_keys.index[inside], expected[inside])
    shifted = atom_layout(real)
    assert bool(shifted.queries_to_keys.mask.all())
    assert not torch.equal(layout.queries_to_keys.index, shifted.queries_to_keys.index)


def test_chains_without_a_template_have_gaps_in_the_first_slot() -> None:
    inputs = mixed_input()
    classes = family_inputs(inputs, FAMILIES["protenix"]).templates.residue_class
    assert torch.equal(classes[0, :6], inputs.templates.residue_class[0, :6])
    assert bool((classes[0, 6:] == GAP).all())
    assert torch.equal(classes[1:], inputs.templates.residue_class[1:])
