"""Our network against OpenFold3's own, with random parameters.

With version 0.4 of the package installed this compares the family `openfold3-preview`.
"""

from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from torch import nn

from foldwright.models.fold.inputs import FoldInputs
from foldwright.models.fold.weights.families import checkpoint_problems, identified
from foldwright.models.fold.weights.load import empty_network, load_fold
from tests.models.fold.family_results import our_results
from tests.models.fold.golden_files import relative_error
from tests.models.fold.mixed_input import few_atoms, mixed_input
from tests.oracles.openfold3_package import (
    TWIN,
    VERSION,
    openfold3_network,
    openfold3_results,
    openfold3_state,
)

# Only an absent package is skipped; one that lacks something of its own must fail.
if find_spec("openfold3") is None:
    reason = "the package openfold3 is not installed: make test-oracles"
    pytest.skip(reason, allow_module_level=True)
TOLERANCE = 5e-6


@pytest.fixture(scope="module")
def package() -> nn.Module:
    network = openfold3_network(reduced=True)
    openfold3_state(network)
    return network


@pytest.mark.parametrize("inputs", [mixed_input(), few_atoms()], ids=["mixed", "few atoms"])
def test_every_part_is_the_packages(package: nn.Module, inputs: FoldInputs, tmp_path: Path) -> None:
    path = tmp_path / "openfold3.pt"
    torch.save({"ema": {"params": package.state_dict(), "decay": 0.999}, "epoch": 3}, path)
    found, expected = our_results(load_fold(path), inputs), openfold3_results(package, inputs)
    errors = {name: relative_error(found[name], expected[name]) for name in expected}
    assert max(errors.values()) < TOLERANCE, errors


def test_default_network_is_covered_both_ways() -> None:
    from openfold3.projects.of3_all_atom.model import MODEL_VERSION

    with torch.device("meta"):
        state = openfold3_network(reduced=False).state_dict()
    once = {name: value for name, value in state.items() if not name.startswith(TWIN)}
    tensors, config = identified(once | {VERSION: MODEL_VERSION}, "package")
    assert checkpoint_problems(tensors, empty_network(config)) == []
