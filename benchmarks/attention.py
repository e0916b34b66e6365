"""Memory and CPU time of one layer of invariant point attention against length.

    python benchmarks/attention.py --keep attention.json --plot docs/images/attention.png

Forward and backward, batch 1, one thread, 12 heads of 16 channels, 4 and 8 points, 128 channels of
features and of pairs, float32. Every measurement runs in a process of its own, after a small call
that loads the libraries; memory is the peak over what the inputs take. `--keep` names a file of
measurements: those in it are not repeated, so that a run can be continued. Shared machines change
speed from minute to minute: compare times within one run.

The dense layer is measured as far as memory goes and otherwise computed: per pair it needs the
gradient of the pair vector (128 numbers), its projection and the gradient of that (2 * 32), and
bias, logits, weights and gradient of the weights (4 * 12).
"""

import argparse
import json
import math
import multiprocessing
import time
from pathlib import Path

import torch
from torch import Tensor

from foldwright.geometry.rigid import Rigid
from foldwright.nn.pair import DensePair, FactorizedPair, PairRepresentation
from foldwright.nn.pair_point_attention import PairPointAttention
from foldwright.nn.point_attention.choice import PointBackend
from foldwright.runtime.memory import PeakMemory

CHANNELS, HEADS = 128, 12
DENSE_BYTES_PER_PAIR = 4 * (CHANNELS + 2 * CHANNELS // 4 + 4 * HEADS)
WARM_UP_LENGTH = 48

Case = tuple[PointBackend, int, int]
"""Back end, rank (0 for dense pairs) and length."""


def chain(length: int, generator: torch.Generator) -> Rigid:
    """A walk with steps of 0.38 nm and a random frame at every residue."""
    step = torch.randn(1, length, 3, generator=generator)
    rots = torch.linalg.qr(torch.randn(1, length, 3, 3, generator=generator))[0]
    return Rigid(rots, (0.38 * step / step.norm(dim=-1, keepdim=True)).cumsum(1))


def pairs(rank: int, length: int, generator: torch.Generator) -> PairRepresentation:
    def leaf(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator).requires_grad_()

    if rank:
        return FactorizedPair(leaf(1, length, rank, CHANNELS), leaf(1, length, rank, CHANNELS))
    return DensePair(leaf(1, length, length, CHANNELS))


def measure(case: Case) -> tuple[float, float]:
    """CPU seconds and peak megabytes of one forward and backward pass."""
    backend, rank, length = case
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    layer = PairPointAttention(
        CHANNELS, CHANNELS, c_hidden=16, num_heads=HEADS, num_qk_points=4, num_v_points=8
    )
    torch.nn.init.normal_(layer.linear_out.weight, std=0.01, generator=generator)
    for n in (WARM_UP_LENGTH, length):
        s = torch.randn(1, n, CHANNELS, generator=generator).requires_grad_()
        pair, frames = pairs(rank, n, generator), chain(n, generator)
        mask = torch.ones(1, n, dtype=torch.bool)
        layer.zero_grad()
        with PeakMemory() as peak:
            start = time.process_time()
            layer(s, pair, frames, mask, backend=backend).square().sum().backward()
            seconds = time.process_time() - start
    return seconds, peak.bytes / 1e6


class Measurements:
    """Measured cases, kept in a file where one is named."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        known = path is not None and path.exists()
        self.found: dict[str, list[float]] = json.loads(path.read_text()) if known else {}

    def of(self, case: Case) -> tuple[float, float]:
        """Measure in a fresh process unless it was, and print the line."""
        key = "{} rank {} length {}".format(*case)
        if key not in self.found:
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                self.found[key] = list(pool.apply(measure, (case,)))
            if self._path is not None:
                self._path.write_text(json.dumps(self.found, indent=1) + "\n")
        seconds, megabytes = self.found[key]
        name = f"{case[0]}, rank {case[1]}" if case[1] else f"{case[0]}, dense pairs"
        print(f"{case[2]:>6}  {name:20} {seconds:>8.2f} {megabytes:>9.1f}", flush=True)
        return seconds, megabytes


def slope(lengths: list[int], values: list[float]) -> float:
    """Least-squares slope of the logarithms."""
    x = torch.tensor([math.log(length) for length in lengths])
    y = torch.tensor([math.log(value) for value in values])
    x, y = x - x.mean(), y - y.mean()
    return ((x * y).sum() / x.square().sum()).item()


def dense_megabytes(length: int) -> float:
    return DENSE_BYTES_PER_PAIR * length**2 / 1e6


def plot(path: Path, lines: dict[str, dict[int, tuple[float, float]]], dense: list[int]) -> None:
    """Draw memory and time against length, both axes logarithmic."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, (memory, seconds) = pyplot.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    for name, found in lines.items():
        memory.loglog(list(found), [value[1] for value in found.values()], marker="o", label=name)
        seconds.loglog(list(found), [value[0] for value in found.values()], marker="o", label=name)
    sizes = [dense_megabytes(length) for length in dense]
    memory.loglog(dense, sizes, "k--", label="dense, computed")
    memory.set(xlabel="residues", ylabel="peak memory, MB")
    seconds.set(xlabel="residues", ylabel="CPU seconds")
    for axes in (memory, seconds):
        axes.set_xticks(dense, [str(length) for length in dense], minor=False)
        axes.minorticks_off()
        axes.legend(fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100)


def main() -> None:
    """Print one line per measurement, then the slope and the ratios that matter."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lengths", nargs="+", type=int, default=[512, 1024, 2048, 4096, 8192])
    parser.add_argument("--rank-lengths", nargs="+", type=int, default=[512, 1024, 2048, 4096])
    parser.add_argument("--sdpa-lengths", nargs="+", type=int, default=[512, 1024])
    parser.add_argument("--dense-lengths", nargs="+", type=int, default=[256, 512])
    parser.add_argument("--keep", type=Path, help="file of measurements to continue")
    parser.add_argument("--plot", type=Path, help="draw memory and time into this PNG file")
    given = parser.parse_args()
    measured = Measurements(given.keep)
    print(f"{'length':>6}  {'layer':20} {'CPU s':>8} {'peak MB':>9}", flush=True)
    low = {n: measured.of(("tiles", 2, n)) for n in given.lengths}
    high = {n: measured.of(("tiles", 16, n)) for n in given.rank_lengths}
    for rank in (2, 16):
        for n in given.sdpa_lengths:
            measured.of(("sdpa", rank, n))
    dense = {n: measured.of(("dense", 0, n)) for n in given.dense_lengths}
    growth = slope(given.lengths, [low[n][1] for n in given.lengths])
    print(f"memory at rank 2 grows as length^{growth:.2f}")
    for n in given.dense_lengths:
        ratio = dense[n][1] / dense_megabytes(n)
        print(f"dense layer at {n}: {ratio:.2f} of the computed {dense_megabytes(n):.0f} MB")
    for n in set(given.lengths) & {4096}:
        ratio = dense_megabytes(n) / low[n][1]
        print(f"dense layer at {n}: {dense_megabytes(n):.0f} MB, {ratio:.0f} times rank 2")
    for n in sorted(set(low) & set(high)):
        times, memory = (high[n][i] / low[n][i] for i in (0, 1))
        print(f"rank 16 / rank 2 at {n}: {times:.2f} of the time, {memory:.2f} of the memory")
    if given.plot is not None:
        lines = {"rank 2": low, "rank 16": high, "dense pairs": dense}
        plot(given.plot, lines, sorted({*given.lengths, *given.dense_lengths}))


if __name__ == "__main__":
    main()
