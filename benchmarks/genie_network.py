"""CPU time and peak memory of the Genie network at its published settings.

    python benchmarks/genie_network.py [--lengths 64 128 256] [--threads 1] [--repeats 2]

`sample` is a short chain of ancestral steps through the sampler of `foldwright design`; its figures
are those of one denoising step. Every case runs in a process of its own, batch 1, so that peaks
are clean. `plain` is the same network with the pair stack in plain tensor operations and torch's
own allocation, which is how the original computes; compare within one run, since shared machines
change speed from minute to minute.

The original (2023 release), measured once on two such cores with other work beside it, in CPU
seconds and memory over the import: forward 1.4-1.6 s / 0.14 GB (128), 8-9 s / 0.36 GB (256), 40 s
(512); training step 3.4-3.8 s / 2.2 GB (128), 30 s / 5.4 GB (256), over 20 GB (512).
"""

import argparse
import multiprocessing
import os
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from unittest.mock import patch

import torch
from torch import Tensor

from foldwright.models.backbone.config import DiffusionConfig, GenieConfig, LossConfig
from foldwright.models.backbone.design_settings import SamplerPlan
from foldwright.models.backbone.inputs import collate
from foldwright.models.backbone.loss import diffusion_loss, draw_noise
from foldwright.models.backbone.model import BackboneModel
from foldwright.models.backbone.traces import DesignItem, sample_traces
from foldwright.runtime.allocator import HUGE_PAGES, keep_freed_memory, prefer_huge_pages
from foldwright.runtime.memory import PeakMemory

CASES = ("forward", "forward plain", "sample", "train", "train plain", "train checkpointed")
COLUMNS = f"{'length':>6}  {'case':20} {'CPU s':>8} {'ms':>8} {'peak MB':>8}"
SAMPLING_STEPS = 4


def random_walk(length: int) -> Tensor:
    """A trace with steps of 3.8 Å."""
    step = torch.randn(length, 3, generator=torch.Generator().manual_seed(0))
    return (3.8 * step / step.norm(dim=-1, keepdim=True)).cumsum(0)


def work(length: int, case: str) -> Callable[[], object]:
    """The function to measure."""
    genie = GenieConfig.model_validate(
        {"max_length": length, "checkpoint_pairs": "checkpointed" in case}
    )
    model = BackboneModel(genie, DiffusionConfig.model_validate({}))
    model.train(case.startswith("train"))
    batch = collate([random_walk(length)], ["walk"])
    noised = draw_noise(model, batch, torch.Generator().manual_seed(0))
    x = model.process.add_noise(noised.x0, noised.noise, noised.timestep)
    loss = LossConfig.model_validate({})

    def train() -> None:
        model.zero_grad()
        diffusion_loss(model, noised, loss, self_condition=False).total.backward()

    def forward() -> None:
        with torch.inference_mode():
            model.denoise(x, batch.mask, noised.timestep)

    def sample() -> None:
        plan = SamplerPlan("ddpm", SAMPLING_STEPS, "log_snr", {"noise_scale": 0.6}, restrain=True)
        item = DesignItem(index=0, length=length, seed=0)
        sample_traces(model, [item], plan, device=torch.device("cpu"), on_step=lambda _: None)

    return {"forward": forward, "sample": sample, "train": train}[case.split()[0]]


def measure(length: int, case: str, threads: int, repeats: int) -> tuple[float, float, float]:
    """CPU seconds and wall milliseconds per call or sampling step; peak MB of the first call."""
    torch.set_num_threads(threads)
    plain = case.endswith("plain")
    if not plain:  # as `foldwright design` and `foldwright train backbone` do
        keep_freed_memory()
    modules = ("triangle", "transition")
    patches = [patch(f"foldwright.nn.{name}.chunks_help", lambda _: not plain) for name in modules]
    for each in patches:
        each.start()
    call = work(length, case)
    with PeakMemory() as peak:
        call()
    parts = repeats * (SAMPLING_STEPS if case == "sample" else 1)
    start, began = time.process_time(), time.perf_counter()
    for _ in range(repeats):
        call()
    wall = 1e3 * (time.perf_counter() - began) / parts
    return (time.process_time() - start) / parts, wall, peak.bytes / 1e6


def main() -> None:
    """Print one line per length and case, and the ratios that matter."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lengths", type=int, nargs="+", default=[64, 128, 256])
    parser.add_argument("--cases", nargs="+", default=list(CASES), choices=CASES)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=2)
    arguments = parser.parse_args()
    print(COLUMNS)
    context = multiprocessing.get_context("spawn")
    for length in arguments.lengths:
        seconds: dict[str, float] = {}
        for case in arguments.cases:
            if case in ("forward", "sample"):  # as the command line does; the worker inherits it
                prefer_huge_pages()
            with ProcessPoolExecutor(1, mp_context=context) as pool:
                job = (length, case, arguments.threads, arguments.repeats)
                seconds[case], wall, peak = pool.submit(measure, *job).result()
            os.environ.pop(HUGE_PAGES, None)
            print(
                f"{length:>6}  {case:20} {seconds[case]:8.2f} {wall:8.0f} {peak:8.0f}", flush=True
            )
        for kind in ("forward", "train"):
            if {kind, f"{kind} plain"} <= set(seconds):
                ratio = seconds[f"{kind} plain"] / seconds[kind]
                print(f"{length:>6}  {kind}: {ratio:.2f} times less time than plain")


if __name__ == "__main__":
    main()
