"""The pair track: layers of one kind, shared or not, on one residual stream or several."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache, partial
from typing import Any, cast

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from foldwright.models.backbone.config import GenieConfig
from foldwright.models.backbone.dense_pairs import PairTransformLayer
from foldwright.models.backbone.linear_pairs import FactorizedTransformLayer, SparseTransformLayer
from foldwright.models.backbone.recomputation import layers_to_recompute
from foldwright.nn.hyper_connections import (
    HyperConnection,
    contract_streams,
    expand_streams,
    read_streams,
    stream_terms,
    write_streams,
)
from foldwright.nn.layer_sharing import layer_order
from foldwright.nn.pair import FactorizedPair, SparsePair
from foldwright.runtime.live_bytes import KeptBytes
from foldwright.runtime.memory import available_memory

BackbonePairs = Float[Tensor, "b n n c_z"] | FactorizedPair | SparsePair
_LAYERS: dict[str, Callable[[GenieConfig], nn.Module]] = {
    "dense": PairTransformLayer,
    "factorized": FactorizedTransformLayer,
    "sparse": SparseTransformLayer,
}
_COMPILED_ABOVE = 256
_LOG = logging.getLogger(__name__)


class PairTransformNet(nn.Module):
    """Stack of pair layers; the representation picks their kind.

    With several residual streams every tensor of the representation has its own connection at
    every place of the stack, also where places share a layer.
    """

    def __init__(self, config: GenieConfig) -> None:
        super().__init__()
        self.checkpoint_pairs = config.checkpoint_pairs
        self.order = layer_order(config.layer_sharing, config.num_pair_layers)
        build = _LAYERS[config.pair]
        self.net = nn.ModuleList(build(config) for _ in range(max(self.order) + 1))
        self.num_streams = config.residual_streams
        if config.residual_streams > 1:
            self.connections = nn.ModuleList(_connections(config) for _ in self.order)

    def forward(
        self,
        z: BackbonePairs,
        mask: Bool[Tensor, "b n"],
        observed: list[Float[Tensor, "b terms"]] | None = None,
    ) -> BackbonePairs:
        """Transform the pair representation; it keeps its type, rank and neighbours.

        Args:
            z: pairs, zero where a residue is padding.
            mask: real residues.
            observed: gets the `stream_terms` of every place.
        """
        if self.num_streams > 1:
            return self._on_streams(z, mask, observed)
        runner = _LayerRunner(self.checkpoint_pairs, len(self.order), mask)
        for index in self.order:
            z = runner.run(self.net[index], z)
        return z

    def _on_streams(
        self, z: BackbonePairs, mask: Tensor, observed: list[Tensor] | None
    ) -> BackbonePairs:
        streams = tuple(expand_streams(part, self.num_streams) for part in _tensors(z))
        runner = _LayerRunner(self.checkpoint_pairs, len(self.order), mask)
        for place in range(len(self.order)):
            step = partial(self._step, place, z, observed is not None)
            *streams, terms = runner.run(step, streams)
            if observed is not None:
                observed.append(terms)
        return _with_tensors(z, [contract_streams(part) for part in streams])

    def _step(
        self,
        place: int,
        like: BackbonePairs,
        observe: bool,
        streams: Sequence[Tensor],
        mask: Tensor,
    ) -> tuple[Tensor, ...]:
        """One layer between streams; the last tensor are its terms, none if nobody observes."""
        connections = cast(nn.ModuleList, self.connections[place])
        maps = [connect(x) for connect, x in zip(connections, streams, strict=True)]
        read = [read_streams(x, m) for x, m in zip(streams, maps, strict=True)]
        out = _tensors(self.net[self.order[place]](_with_tensors(like, read), mask))
        updates = [new - old for new, old in zip(out, read, strict=True)]
        written = [write_streams(*each) for each in zip(streams, updates, maps, strict=True)]
        terms = mask.new_zeros(len(mask), 0, dtype=torch.float32)
        if observe:
            parts = zip(streams, read, updates, written, strict=True)
            real = _real(like, mask)
            terms = torch.stack([stream_terms(*part, real) for part in parts]).mean(0)
        return (*written, terms)


class _LayerRunner:
    """Runs the layers of one pass, some of them so that the backward pass recomputes them.

    With `auto` the first layer runs as it is and what it keeps is counted; then the free memory
    decides how many of the others are recomputed. Those are the next ones, not the last: when the
    backward pass comes to them, the later layers' memory is free again. The result is the same.
    """

    def __init__(self, setting: bool | str, num_layers: int, mask: Tensor) -> None:
        self._mask, self._left = mask, num_layers
        self._recomputed = num_layers if setting is True else 0
        self._deciding = setting == "auto"
        if not torch.is_grad_enabled():
            self._recomputed, self._deciding = 0, False
        elif self._deciding and torch.compiler.is_compiling():
            # a compiled graph cannot look at the memory
            self._recomputed = num_layers if mask.shape[1] > _COMPILED_ABOVE else 0
            self._deciding = False

    def run(self, step: Callable[..., Any], state: Any) -> Any:
        """Run one layer."""
        self._left -= 1
        if self._deciding:
            return self._measured(step, state)
        if self._recomputed > 0:
            self._recomputed -= 1
            return checkpoint(step, state, self._mask, use_reentrant=False)
        return step(state, self._mask)

    def _measured(self, step: Callable[..., Any], state: Any) -> Any:
        self._deciding = False
        between = sum(x.numel() * x.element_size() for x in _parts(state))
        with KeptBytes() as kept:
            out = step(state, self._mask)
        self._recomputed = layers_to_recompute(
            self._left,
            kept=kept.bytes,
            between=between,
            free=available_memory(self._mask.device),
        )
        if self._recomputed:
            _note(self._recomputed)
        return out


@cache
def _note(count: int) -> None:
    _LOG.info("%d pair layers are recomputed in the backward pass to fit the free memory", count)


def _parts(state: Any) -> Sequence[Tensor]:
    """The tensors between layers: those of the pairs, or their streams."""
    return state if isinstance(state, tuple | list) else _tensors(state)


def _connections(config: GenieConfig) -> nn.ModuleList:
    """One connection for each tensor of the representation."""
    count = 2 if config.pair == "factorized" else 1
    return nn.ModuleList(
        HyperConnection(config.c_p, config.residual_streams, iterations=config.sinkhorn_iterations)
        for _ in range(count)
    )


def _tensors(z: BackbonePairs) -> tuple[Tensor, ...]:
    """The tensors of a representation that layers change."""
    if isinstance(z, FactorizedPair):
        return z.left, z.right
    return (z.values,) if isinstance(z, SparsePair) else (z,)


def _with_tensors(z: BackbonePairs, tensors: Sequence[Tensor]) -> BackbonePairs:
    if isinstance(z, FactorizedPair):
        return FactorizedPair(*tensors)
    return replace(z, values=tensors[0]) if isinstance(z, SparsePair) else tensors[0]


def _real(z: BackbonePairs, mask: Tensor) -> Tensor:
    """Which vectors of a representation are those of real residues."""
    if isinstance(z, FactorizedPair):
        return mask[..., None].expand(z.left.shape[:-1])
    return z.present if isinstance(z, SparsePair) else mask[:, :, None] & mask[:, None]
