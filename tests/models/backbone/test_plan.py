"""Predicted memory against what a step is measured to take."""

import multiprocessing

import pytest
import torch
from torch import nn

from foldwright.models.backbone.config import GenieConfig
from foldwright.models.backbone.network import GenieDenoiser
from foldwright.models.backbone.plan import PROBED, Planner, run_once
from foldwright.runtime.live_bytes import LiveBytes
from foldwright.runtime.memory import PeakMemory

KINDS = pytest.mark.parametrize("kind", ["dense", "factorized", "sparse"])
PLENTY = 10**12


def config(kind: str, **more: object) -> GenieConfig:
    sizes = {"c_s": 16, "c_p": 16, "c_triangle_multiplication": 16, "c_position": 16, "c_ipa": 8}
    few = {"c_timestep": 16, "num_ipa_heads": 2, "pair_neighbours": 8}
    return GenieConfig.model_validate({"pair": kind, "max_length": 128, **sizes, **few, **more})


def counted(settings: GenieConfig, length: int, *, gradients: bool) -> int:
    """The most bytes alive in a step of the whole network."""
    network: nn.Module = GenieDenoiser(settings, num_timesteps=2).train(gradients)
    with LiveBytes() as live:
        run_once(network, length, gradients=gradients)
    return live.peak


@pytest.mark.parametrize(
    ("kind", "recompute"),
    [("dense", False), ("dense", True), ("factorized", False), ("sparse", False)],
)
def test_a_step_is_what_its_layers_keep(kind: str, recompute: bool) -> None:
    """From depths 1 and 2 to depth 4, at a length that is probed itself.

    The plan counts all gradients, of which few exist at the moment of the peak.
    """
    settings = config(kind, num_pair_layers=4, num_structure_layers=4, checkpoint_pairs=recompute)
    plan = Planner(settings).training(24, 1, free=PLENTY)
    assert plan.probed_lengths == (24,)
    assert plan.recomputed == (4 if recompute else 0)
    found = counted(settings, 24, gradients=True)
    weights = sum(p.numel() for p in GenieDenoiser(settings, num_timesteps=2).parameters())
    assert 0.98 * found <= plan.peak_bytes <= 1.05 * found + 4 * weights
    sampling = Planner(settings).sampling(24, 1, free=PLENTY)
    assert sampling.peak_bytes == pytest.approx(counted(settings, 24, gradients=False), rel=0.02)


def test_little_memory_recomputes_more_and_takes_less() -> None:
    planner = Planner(config("dense", num_pair_layers=6))
    plenty = planner.training(24, 2, free=PLENTY)
    tight = planner.training(24, 2, free=plenty.peak_bytes // 2)
    none = planner.training(24, 2, free=1)
    assert plenty.recomputed == 0
    assert plenty.fits
    assert 0 < tight.recomputed <= none.recomputed == 5
    assert none.peak_bytes <= tight.peak_bytes < plenty.peak_bytes
    assert not none.fits


def test_memory_grows_with_the_law_of_the_representation(monkeypatch) -> None:
    """Four times the length is 16 times the dense pairs, and at most 4 times linear ones."""
    for kind in ("dense", "factorized", "sparse"):
        monkeypatch.setitem(PROBED, kind, (12, 24))
    ratios = {}
    for kind in ("dense", "factorized"):
        planner = Planner(config(kind))
        near, far = (planner.training(n, 1, free=PLENTY).peak_bytes for n in (1000, 4000))
        ratios[kind] = far / near
    assert 12 < ratios["dense"] <= 16
    assert 2.5 < ratios["factorized"] <= 4.01
    twice = planner.training(1000, 2, free=PLENTY).peak_bytes
    assert 1.8 < twice / near <= 2


def measured(settings: GenieConfig, length: int) -> int:
    torch.set_num_threads(1)
    network = GenieDenoiser(settings, num_timesteps=2).train()
    run_once(network, 16, gradients=True)
    network.zero_grad()
    with PeakMemory() as peak:
        run_once(network, length, gradients=True)
    return peak.bytes


@pytest.mark.slow
@KINDS
def test_prediction_against_the_memory_of_a_process(kind: str, monkeypatch) -> None:
    """Within 10 % and 10 MB of the resident memory that a fresh process takes for a step.

    The process gives freed memory back at once: glibc by default keeps up to half more, as it
    pleases.
    """
    monkeypatch.setenv("MALLOC_MMAP_THRESHOLD_", "65536")
    length = {"dense": 128, "factorized": 384, "sparse": 384}[kind]
    wide = {"c_p": 32, "pair_neighbours": 32, "num_ipa_heads": 8}
    settings = config(kind, max_length=length, checkpoint_pairs=False, **wide)
    plan = Planner(settings).training(length, 1, free=PLENTY)
    found = 0
    for _ in range(3):  # a system short of memory takes pages away, which makes a reading too low
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            found = max(found, pool.apply(measured, (settings, length)))
        if found > 0.9 * plan.peak_bytes - 10e6:
            break
    assert abs(found - plan.peak_bytes) < 0.1 * plan.peak_bytes + 10e6
