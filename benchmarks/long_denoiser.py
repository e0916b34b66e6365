"""CPU time and peak memory of a training step of the denoiser with factorised pairs.

    python benchmarks/long_denoiser.py [--lengths 256 512 1024 2048 4096] [--rank 2]
        [--pair factorized] [--threads 1] [--repeats 1] [--tensors] [--dense]

Published width and depth (128 channels, 5 pair and 5 structure layers, 12 heads), batch 1, a
random walk, loss and backward pass included. Every case runs in a process of its own, which first
makes a step of 16 residues: PyTorch loads 100 MB of code in it. The peak is that of the first step
of the long chain over the memory of the built model; gradients are part of it.

Memory is handed out as `foldwright train` asks for it: what is freed stays with the process and is
used again. `--tensors` counts the bytes of the tensors instead, exactly; the time is meaningless
then, and there is no rate.

CPU seconds of a shared machine change with its load. So each process first times a matrix product
of 2048 x 512 x 128, and the last column is the step in units of that product's rate: the GFLOP it
could have done meanwhile, which says what an idle machine would need. `--dense` adds a step of the
dense network in plain tensor operations at 256 residues, as the original computes it.

Aims: at most 200 MB at 256 residues, 600 MB at 1,024 and 3 GB at 4,096; a slope of memory against
length of at most 1.15 from 512 to 4,096; a thirtieth of the dense network's time at 256, and at
most 3 CPU seconds at 1,024.
"""

import argparse
import math
import multiprocessing
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from unittest.mock import patch

import torch
from torch import Tensor

from foldwright.models.backbone.config import DiffusionConfig, GenieConfig, LossConfig
from foldwright.models.backbone.inputs import collate
from foldwright.models.backbone.loss import diffusion_loss, draw_noise
from foldwright.models.backbone.model import BackboneModel
from foldwright.runtime.allocator import keep_freed_memory
from foldwright.runtime.live_bytes import LiveBytes
from foldwright.runtime.memory import PeakMemory

COLUMNS = f"{'pair':12} {'length':>6} {'CPU s':>8} {'peak MB':>8} {'GFLOP/s':>8} {'as GFLOP':>9}"
_PRODUCT = (2048, 512, 128)
_WARM_UP = 16


@dataclass(frozen=True)
class Case:
    """What one process measures."""

    pair: str
    length: int
    rank: int
    threads: int
    repeats: int
    tensors: bool


@dataclass(frozen=True)
class Result:
    """CPU seconds of a step, its peak in megabytes, and the rate of the matrix product."""

    seconds: float
    megabytes: float
    gigaflops: float


def random_walk(length: int) -> Tensor:
    """A trace with steps of 3.8 Å."""
    step = torch.randn(length, 3, generator=torch.Generator().manual_seed(0))
    return (3.8 * step / step.norm(dim=-1, keepdim=True)).cumsum(0)


def training_step(case: Case) -> Callable[[], None]:
    """Build the model and return its training step."""
    sizes = {"pair": case.pair, "pair_rank": case.rank, "max_length": case.length}
    model = BackboneModel(GenieConfig.model_validate(sizes), DiffusionConfig()).train()
    batch = collate([random_walk(case.length)], ["walk"])
    noised = draw_noise(model, batch, torch.Generator().manual_seed(0))
    loss = LossConfig()

    def step() -> None:
        model.zero_grad()
        diffusion_loss(model, noised, loss, self_condition=False).total.backward()

    return step


def seconds_of(call: Callable[[], object], repeats: int) -> float:
    """CPU seconds per call."""
    start = time.process_time()
    for _ in range(repeats):
        call()
    return (time.process_time() - start) / repeats


def product_rate() -> float:
    """GFLOP per CPU second of a matrix product as the pair layers make them."""
    m, k, n = _PRODUCT
    a, b = torch.randn(m, k), torch.randn(k, n)
    seconds_of(lambda: a @ b, 3)
    return 2 * m * k * n / seconds_of(lambda: a @ b, 20) / 1e9


def measure(case: Case) -> Result:
    """Measure one case in this process."""
    torch.set_num_threads(case.threads)
    rate = product_rate()
    for name in ("triangle", "transition"):
        patch(f"foldwright.nn.{name}.chunks_help", lambda _: False).start()
    keep_freed_memory()
    training_step(replace(case, length=_WARM_UP))()
    step = training_step(case)
    with LiveBytes() if case.tensors else PeakMemory() as peak:
        seconds = seconds_of(step, 1)
    if isinstance(peak, LiveBytes):
        return Result(seconds, peak.peak / 1e6, math.nan)
    if case.repeats:
        seconds = seconds_of(step, case.repeats)
    return Result(seconds, peak.bytes / 1e6, rate)


def run(case: Case) -> Result:
    """Measure in a fresh process and print the line."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        result: Result = pool.apply(measure, (case,))
    work = result.seconds * result.gigaflops
    print(
        f"{case.pair:12} {case.length:>6} {result.seconds:8.2f} {result.megabytes:8.0f} "
        f"{result.gigaflops:8.1f} {work:9.1f}",
        flush=True,
    )
    return result


def main() -> None:
    """Print one line per length, the slope of memory, and the ratio to the dense network."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lengths", type=int, nargs="+", default=[256, 512, 1024, 2048, 4096])
    parser.add_argument("--pair", default="factorized", choices=("factorized", "sparse"))
    parser.add_argument("--rank", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=1, help="0: time the first step")
    parser.add_argument("--tensors", action="store_true", help="count bytes of tensors")
    parser.add_argument("--dense", action="store_true", help="add a dense step at 256 residues")
    given = parser.parse_args()
    print(COLUMNS)
    found = {
        n: run(Case(given.pair, n, given.rank, given.threads, given.repeats, given.tensors))
        for n in given.lengths
    }
    long = sorted(n for n in found if n >= 512)
    if len(long) > 1:
        low, high = found[long[0]].megabytes, found[long[-1]].megabytes
        slope = math.log(high / low) / math.log(long[-1] / long[0])
        print(f"memory grows with length to the power {slope:.2f} from {long[0]} to {long[-1]}")
    if given.dense:
        dense = run(Case("dense", 256, given.rank, given.threads, 1, False))
        if 256 in found:
            ratio = dense.seconds * dense.gigaflops
            ratio /= found[256].seconds * found[256].gigaflops
            print(f"dense at 256 takes {ratio:.0f} times as long, at equal rate")


if __name__ == "__main__":
    main()
