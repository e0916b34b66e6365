"""Memory and time of a training step or a sampling step, before it is started.

Networks of few layers run once at short lengths, and what their tensors take is counted exactly;
from differences between depths follow the bytes that a pair layer and a structure layer keep.
Longer chains follow by the law of the representation:

    peak = gradients + base + (L - r) pair + r between + M structure + working

with L pair layers of which r are recomputed and M structure layers. `base` are features and loss,
`working` is what the backward pass of one layer needs beside what is kept. Bytes grow with n^2 for
dense pairs, as a + b n otherwise; time as n^2 and n^3 (dense), or n and n^2, fitted to the probes.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from foldwright.geometry.frenet import frenet_frames
from foldwright.geometry.rigid import Rigid
from foldwright.models.backbone.config import GenieConfig
from foldwright.models.backbone.network import GenieDenoiser
from foldwright.models.backbone.recomputation import layers_to_recompute
from foldwright.runtime.live_bytes import LiveBytes
from foldwright.runtime.memory import available_memory

# From the longer probe on, the pair stack works in chunks as it does at any greater length.
PROBED: dict[str, tuple[int, int]] = {
    "dense": (96, 192),
    "factorized": (192, 384),
    "sparse": (192, 384),
}
"""Lengths of the probes of longer chains, by representation."""
_BYTES_PER_WEIGHT = 4


@dataclass(frozen=True)
class Cost:
    """One network pass: bytes alive after the forward pass, the most at any moment, CPU seconds."""

    kept: float
    peak: float
    seconds: float


@dataclass(frozen=True)
class MemoryPlan:
    """What a step is expected to take; bytes are over those of the weights."""

    length: int
    batch: int
    peak_bytes: int
    free_bytes: int
    pair_layers: int
    recomputed: int
    cpu_seconds: float
    probed_lengths: tuple[int, ...]

    @property
    def fits(self) -> bool:
        """Whether the peak is below what is free."""
        return self.peak_bytes <= self.free_bytes


class Planner:
    """Predicts for one network; its probes run when first asked for, and once."""

    def __init__(self, config: GenieConfig) -> None:
        self.config = config
        self._probes: dict[tuple[int, int, int, bool | None], Cost] = {}

    def training(self, length: int, batch: int, *, free: int | None = None) -> MemoryPlan:
        """Plan a forward and backward pass; `free` is what the CPU has free by default."""
        free = available_memory("cpu") if free is None else free
        shallow = self._at(length, batch, 1, 2, False)
        again = self._at(length, batch, 1, 2, True)
        deeper = self._at(length, batch, 2, 2, False)
        wider = self._at(length, batch, 1, 3, False)
        pair, structure = deeper.kept - shallow.kept, wider.kept - shallow.kept
        between = pair - (shallow.kept - again.kept)
        base = shallow.kept - pair - 2 * structure
        layers, places = self.config.num_pair_layers, self._structure_places()
        recomputed = self._recomputed(pair, between, free)
        working = shallow.peak - shallow.kept
        if recomputed:
            working = max(working, again.peak - again.kept)
        peak = self._gradient_bytes() + base + (layers - recomputed) * pair
        peak += recomputed * between + places * structure + working
        seconds = self._seconds(shallow, deeper, wider)
        # a recomputed layer runs forward twice: about a third more
        seconds += recomputed * _more(deeper, shallow) / 3
        return self._plan(length, batch, peak, free, recomputed, seconds)

    def sampling(self, length: int, batch: int, *, free: int | None = None) -> MemoryPlan:
        """Plan one denoising pass without gradients: its peak does not grow with the depth."""
        free = available_memory("cpu") if free is None else free
        shallow = self._at(length, batch, 1, 2, None)
        deeper = self._at(length, batch, 2, 2, None)
        wider = self._at(length, batch, 1, 3, None)
        seconds = self._seconds(shallow, deeper, wider)
        return self._plan(length, batch, deeper.peak, free, 0, seconds)

    def _seconds(self, shallow: Cost, deeper: Cost, wider: Cost) -> float:
        """Time at the depth of the network, from one pair layer and two structure layers."""
        pairs = max(self.config.num_pair_layers - 1, 0)
        structures = max(self._structure_places() - 2, 0)
        return shallow.seconds + pairs * _more(deeper, shallow) + structures * _more(wider, shallow)

    def _plan(
        self, length: int, batch: int, peak: float, free: int, recomputed: int, seconds: float
    ) -> MemoryPlan:
        return MemoryPlan(
            length,
            batch,
            int(peak),
            free,
            self.config.num_pair_layers,
            recomputed,
            seconds,
            _probed_lengths(self.config, length),
        )

    def _recomputed(self, pair: float, between: float, free: int) -> int:
        setting, layers = self.config.checkpoint_pairs, self.config.num_pair_layers
        if setting != "auto":
            return layers if setting else 0
        return layers_to_recompute(
            max(layers - 1, 0), kept=int(pair), between=max(int(between), 0), free=free
        )

    def _structure_places(self) -> int:
        return self.config.num_structure_layers * self.config.num_structure_blocks

    def _gradient_bytes(self) -> int:
        with torch.device("meta"):
            network = GenieDenoiser(self.config, num_timesteps=2)
        return _BYTES_PER_WEIGHT * sum(weight.numel() for weight in network.parameters())

    def _at(
        self, length: int, batch: int, pairs: int, structures: int, recompute: bool | None
    ) -> Cost:
        """Cost of a batch at any length; `recompute` None is a pass without gradients."""
        lengths = _probed_lengths(self.config, length)
        costs = []
        for probed in lengths:
            key = (probed, pairs, structures, recompute)
            if key not in self._probes:
                self._probes[key] = _probe(self.config, *key)
            costs.append(self._probes[key])
        return _extrapolate(self.config.pair == "dense", lengths, costs, length, batch)


def _more(cost: Cost, than: Cost) -> float:
    """Time of one more layer; where noise swallows it, none."""
    return max(cost.seconds - than.seconds, 0.0)


def _probed_lengths(config: GenieConfig, length: int) -> tuple[int, ...]:
    """The length itself where a probe is cheap, else two short ones."""
    short, long = PROBED[config.pair]
    return (length,) if length <= long else (short, long)


def _extrapolate(
    dense: bool, lengths: tuple[int, ...], costs: list[Cost], length: int, batch: int
) -> Cost:
    last = costs[-1]
    if len(lengths) == 1:
        return Cost(batch * last.kept, batch * last.peak, batch * last.seconds)
    powers = (2, 3) if dense else (1, 2)
    seconds = _fit(lengths, [cost.seconds for cost in costs], powers, length)
    sizes = [[cost.kept for cost in costs], [cost.peak for cost in costs]]
    if dense:  # the shorter probe is below the size from which the stack works in chunks
        kept, peak = (size[-1] * (length / lengths[-1]) ** 2 for size in sizes)
    else:
        kept, peak = (_fit(lengths, size, (0, 1), length) for size in sizes)
    return Cost(batch * kept, batch * peak, batch * seconds)


def _fit(
    lengths: tuple[int, ...], values: list[float], powers: tuple[int, int], length: int
) -> float:
    """Value at a length of the sum of two powers through two points, neither term negative."""
    (p, q), (n, m), (y, w) = powers, lengths, values
    high = (w * n**p - y * m**p) / (m**q * n**p - n**q * m**p)
    high = min(max(high, 0.0), w / m**q)
    low = (w - high * m**q) / m**p
    return low * length**p + high * length**q


def _probe(
    config: GenieConfig, length: int, pairs: int, structures: int, recompute: bool | None
) -> Cost:
    """Run a shallow network and count, and once more against the clock."""
    depth = {
        "max_length": max(length, config.max_length),
        "num_pair_layers": min(pairs, config.num_pair_layers),
        "num_structure_layers": structures,
        "num_structure_blocks": 1,
        "layer_sharing": "none",
        "checkpoint_pairs": bool(recompute),
    }
    with torch.random.fork_rng([]):
        network = GenieDenoiser(config.model_copy(update=depth), num_timesteps=2)
        network.train(recompute is not None)
        kept: list[int] = []

        def look() -> None:
            kept.append(live.now())

        with LiveBytes() as live:
            run_once(network, length, gradients=recompute is not None, after_forward=look)
        start = time.process_time()
        run_once(network, length, gradients=recompute is not None)
        seconds = time.process_time() - start
    gradients = 0 if recompute is None else _gradient_size(network)
    peak = float(max(live.peak - gradients, kept[0]))
    return Cost(float(kept[0]), peak, seconds)


def run_once(
    network: nn.Module,
    length: int,
    *,
    gradients: bool,
    after_forward: Callable[[], None] = lambda: None,
) -> None:
    """Run a network on a helix of a length, backwards too where gradients are asked for."""
    index = torch.arange(length)
    turns = index * (100 * torch.pi / 180)
    ca = torch.stack([2.3 * turns.cos(), 2.3 * turns.sin(), 1.5 * index], dim=-1)[None]
    mask = torch.ones(1, length, dtype=torch.bool)
    frames = Rigid(frenet_frames(ca, mask), ca)
    with torch.set_grad_enabled(gradients):
        out = network(frames, torch.zeros(1, dtype=torch.int64), mask)
        after_forward()
        if gradients:
            out.trans.square().mean().backward()


def _gradient_size(network: nn.Module) -> int:
    return sum(
        weight.grad.numel() * weight.grad.element_size()
        for weight in network.parameters()
        if weight.grad is not None
    )
