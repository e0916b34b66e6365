"""The pair track: layers of one kind, shared or not, on one residual stream or several."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from foldwright.models.backbone.config import GenieConfig
from foldwright.models.backbone.dense_pairs import PairTransformLayer
from foldwright.models.backbone.linear_pairs import FactorizedTransformLayer, SparseTransformLayer
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

BackbonePairs = Float[Tensor, "b n n c_z"] | FactorizedPair | SparsePair
_LAYERS: dict[str, Callable[[GenieConfig], nn.Module]] = {
    "dense": PairTransformLayer,
    "factorized": FactorizedTransformLayer,
    "sparse": SparseTransformLayer,
}
_CHECKPOINT_ABOVE = 256


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
        for index in self.order:
            z = self._run(self.net[index], z, mask)
        return z

    def _on_streams(
        self, z: BackbonePairs, mask: Tensor, observed: list[Tensor] | None
    ) -> BackbonePairs:
        streams = tuple(expand_streams(part, self.num_streams) for part in _tensors(z))
        for place in range(len(self.order)):
            step = partial(self._step, place, z, observed is not None)
            *streams, terms = self._run(step, streams, mask)
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
        maps = [connect(x) for connect, x in zip(self.connections[place], streams, strict=True)]
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

    def _run(self, step: Callable[..., Any], state: Any, mask: Tensor) -> Any:
        if _recompute(self.checkpoint_pairs, mask.shape[1]):
            return checkpoint(step, state, mask, use_reentrant=False)
        return step(state, mask)


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


def _recompute(setting: bool | str, num_residues: int) -> bool:
    """Whether a pair layer is recomputed in the backward pass; `auto`: chains over 256 residues."""
    if not torch.is_grad_enabled():
        return False
    return num_residues > _CHECKPOINT_ABOVE if setting == "auto" else bool(setting)
