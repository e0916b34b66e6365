"""Our network against Protenix's own, with random parameters."""

from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from foldwright.models.fold.inputs import FoldInputs
from foldwright.models.fold.weights.families import checkpoint_problems, identified
from foldwright.models.fold.weights.load import empty_network, load_fold
from tests.models.fold.family_results import our_results
from tests.models.fold.golden_files import relative_error
from tests.models.fold.mixed_input import few_atoms, mixed_input
from tests.models.fold.protenix_shapes import protenix_shapes
from tests.oracles.protenix_package import (
    PUBLISHED,
    REDUCED,
    protenix_network,
    protenix_results,
    protenix_state,
)

# Only an absent package is skipped; one that lacks something of its own must fail.
if find_spec("protenix") is None:
    reason = "the package protenix is not installed: make test-oracles"
    pytest.skip(reason, allow_module_level=True)
TOLERANCE = 5e-6


def changed(**parts: object) -> dict[str, object]:
    """The reduced sizes with other settings of some parts."""
    return REDUCED | {"model": REDUCED["model"] | parts}


FORMS = {
    "base v1.0": REDUCED,
    "base v0.5": changed(template_embedder={"c": 16, "n_blocks": 0}),
    "v2": changed(template_embedder={"c": 64, "n_blocks": 1, "hidden_scale_up": True}),
    "mini": changed(
        template_embedder={"c": 16, "n_blocks": 0}, msa_module={"c_m": 24, "n_blocks": 1}
    ),
}
"""What the published networks differ in beside sizes."""


@pytest.mark.parametrize("inputs", [mixed_input(), few_atoms()], ids=["mixed", "few atoms"])
@pytest.mark.parametrize("form", FORMS)
def test_every_part_is_the_packages(form: str, inputs: FoldInputs, tmp_path: Path) -> None:
    package = protenix_network("protenix_base_default_v1.0.0", FORMS[form])
    path = tmp_path / "protenix.pt"
    wrapped = {f"module.{name}": value for name, value in protenix_state(package).items()}
    torch.save({"model": wrapped, "step": 3}, path)
    found, expected = our_results(load_fold(path), inputs), protenix_results(package, inputs)
    errors = {name: relative_error(found[name], expected[name]) for name in expected}
    assert max(errors.values()) < TOLERANCE, errors


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_networks_are_covered_both_ways(name: str) -> None:
    state = protenix_network(name, {}).state_dict()
    assert {key: tuple(value.shape) for key, value in state.items()} == protenix_shapes(name)
    tensors, config = identified(state, "package")
    assert checkpoint_problems(tensors, empty_network(config)) == []
