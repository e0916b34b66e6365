"""Same seed, same bytes: whatever the plan, the number of samples, the process."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from benchmarks.fold_network import chain_inputs, random_network
from foldwright.models.fold import predict, seeded_fold_draws
from foldwright.models.fold.config import AtomConfig, DenoiserConfig, FoldConfig, FoldSamplerConfig
from foldwright.models.fold.inputs import FoldInputs
from foldwright.models.fold.network.fold_network import FoldNetwork
from foldwright.models.fold.plan import FoldPlan
from foldwright.models.fold.predict import FoldPrediction

# Two groups of channels, several blocks of rows, heads of the published width.
SIZES = FoldConfig(
    pair_channels=128,
    single_channels=32,
    msa_channels=8,
    template_channels=16,
    input_channels=16,
    outer_channels=4,
    pair_heads=4,
    msa_heads=2,
    single_heads=2,
    num_msa_blocks=2,
    num_template_blocks=1,
    num_trunk_blocks=1,
    num_confidence_blocks=1,
    atoms=AtomConfig(channels=32, pair_channels=8, num_heads=2, width=32, num_input_blocks=1),
    diffusion=DenoiserConfig(
        token_channels=96,
        single_channels=32,
        pair_channels=32,
        num_heads=4,
        num_super_blocks=2,
        super_block_size=2,
    ),
)
SETTINGS = FoldSamplerConfig(num_recycles=1, steps=1)
LARGE = FoldPlan(keep_logits=True, samples_together=3, factors_at_once=2)
SMALL = FoldPlan(keep_logits=False, samples_together=1, factors_at_once=1)


@pytest.fixture(scope="module")
def network() -> FoldNetwork:
    return random_network(SIZES)


@pytest.fixture(scope="module")
def inputs() -> FoldInputs:
    return chain_inputs(67)


def _run(network: FoldNetwork, inputs: FoldInputs, samples: int, plan: FoldPlan) -> FoldPrediction:
    draws = seeded_fold_draws(inputs, 11)
    return predict(network, inputs, SETTINGS, num_samples=samples, draws=draws, plan=plan)


def _digest(found: FoldPrediction) -> str:
    parts = [found.trunk.pair, found.trunk.single, found.positions[0], found.contacts]
    parts += [found.confidence[0].aligned_error, found.confidence[0].lddt]
    return hashlib.sha256(b"".join(part.numpy().tobytes() for part in parts)).hexdigest()


def test_plans_and_sample_counts_give_the_same_bytes(
    network: FoldNetwork, inputs: FoldInputs
) -> None:
    large = _run(network, inputs, 3, LARGE)
    small = _run(network, inputs, 2, SMALL)
    assert torch.equal(large.trunk.pair, small.trunk.pair)
    assert torch.equal(large.trunk.single, small.trunk.single)
    for sample in range(2):
        assert torch.equal(large.positions[sample], small.positions[sample])
        one, other = large.confidence[sample], small.confidence[sample]
        assert torch.equal(one.lddt, other.lddt)
        assert torch.equal(one.aligned_error, other.aligned_error)
    assert not torch.equal(large.positions[0], large.positions[1])
    assert torch.isfinite(large.positions[0]).all()


_OTHER_PROCESS = """
import torch
torch.set_num_threads(1)
from tests.models.fold.test_determinism import LARGE, SIZES, _digest, _run
from benchmarks.fold_network import chain_inputs, random_network
print(_digest(_run(random_network(SIZES), chain_inputs(67), 1, LARGE)))
"""


def test_another_process_gives_the_same_bytes(network: FoldNetwork, inputs: FoldInputs) -> None:
    root = Path(__file__).resolve().parents[3]
    path = os.pathsep.join([str(root / "src"), str(root)])
    done = subprocess.run(
        [sys.executable, "-c", _OTHER_PROCESS],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert done.stdout.strip() == _digest(_run(network, inputs, 1, SMALL))
