"""Several residual streams side by side, whose mixing keeps their mean (mHC).

A stack of layers x -> layer(x) becomes one on m streams: a layer reads a weighted sum h of the
streams, and what it adds to h, layer(h) - h, is written to all of them, which are mixed among
themselves by a doubly stochastic matrix:

    h = sum_m pre_m X_m        X_m <- sum_k residual_mk X_k + post_m (layer(h) - h)

Any layer that returns its input plus an update can be wrapped, whatever norm comes last in it.
Between layers m tensors are kept instead of one. Zhu et al. 2024 (arXiv 2409.19606); the manifold
is that of Xie et al. 2025 (arXiv 2512.24880), equations 7 and 8.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from foldwright.geometry.vectors import without_autocast
from foldwright.nn.linear import Linear
from foldwright.nn.sinkhorn import doubly_stochastic

_GATE = 0.01
_OFF_DIAGONAL = -4.0
_NORM_EPS = 1e-6
_SUM_EPS = 1e-8
_FREE_GROWTH = 0.2
_BALANCED_SHARE = 0.5
STREAM_TERMS = ("residual_balance", "norm_preservation", "activation")
"""Names of what `stream_terms` returns, in its order."""


@dataclass(frozen=True)
class StreamMaps:
    """Weights of the streams in the layer's input, of its update in them, and among themselves."""

    pre: Float[Tensor, "*batch m"]
    post: Float[Tensor, "*batch m"]
    residual: Float[Tensor, "*batch m m"]


class HyperConnection(nn.Module):
    """Maps of one layer, from the streams themselves at every place.

    Each map is a static part plus a gate times a projection of the normalised streams; pre lies in
    (0, 1), post in (0, 2), the residual map is doubly stochastic. A fresh connection reads the mean
    of the streams and writes updates whose mean is the layer's: as the residual map keeps the mean,
    a fresh stack computes what it computes without streams. The written shares differ between
    streams, which would otherwise stay equal for ever.

    Raises:
        ValueError: fewer than two streams.
    """

    def __init__(self, channels: int, num_streams: int, *, iterations: int = 20) -> None:
        super().__init__()
        if num_streams < 2:
            raise ValueError(
                f"num_streams must be at least 2: got {num_streams}; "
                "one stream is the plain residual and needs no maps"
            )
        m = num_streams
        self.num_streams, self.iterations = m, iterations
        self.linear = Linear(m * channels, m * (m + 2), bias=False, init="final")
        self.gates = nn.Parameter(torch.full((3,), _GATE))
        self.pre = nn.Parameter(torch.full((m,), -math.log(m - 1)))
        shares = (2 * torch.arange(m) + 1) / (2 * m)
        self.post = nn.Parameter(torch.logit(shares))
        self.residual = nn.Parameter(_OFF_DIAGONAL * (1 - torch.eye(m)))

    def forward(self, streams: Float[Tensor, "*batch m c"]) -> StreamMaps:
        """Compute the maps in float32 at least."""
        m = self.num_streams
        with without_autocast(streams):
            wide = streams.flatten(-2).to(self.linear.weight.dtype)
            scale = torch.rsqrt(wide.square().mean(dim=-1, keepdim=True) + _NORM_EPS)
            # scaled after the product, which is smaller than the streams
            pre, post, residual = (self.linear(wide) * scale).split([m, m, m * m], dim=-1)
            gates = self.gates.unbind()
            mixed = gates[2] * residual.unflatten(-1, (m, m)) + self.residual
            return StreamMaps(
                pre=torch.sigmoid(gates[0] * pre + self.pre),
                post=2 * torch.sigmoid(gates[1] * post + self.post),
                residual=doubly_stochastic(mixed, iterations=self.iterations),
            )


def expand_streams(x: Float[Tensor, "*batch c"], num_streams: int) -> Float[Tensor, "*batch m c"]:
    """Begin all streams with the same features, without a copy."""
    return x[..., None, :].expand(*x.shape[:-1], num_streams, x.shape[-1])


def contract_streams(streams: Float[Tensor, "*batch m c"]) -> Float[Tensor, "*batch c"]:
    """End with the mean of the streams."""
    return streams.mean(dim=-2)


def read_streams(
    streams: Float[Tensor, "*batch m c"], maps: StreamMaps
) -> Float[Tensor, "*batch c"]:
    """Return the input of the layer."""
    with without_autocast(streams):
        return (maps.pre.to(streams.dtype)[..., None, :] @ streams).squeeze(-2)


def write_streams(
    streams: Float[Tensor, "*batch m c"], update: Float[Tensor, "*batch c"], maps: StreamMaps
) -> Float[Tensor, "*batch m c"]:
    """Mix the streams among themselves and add the update to each; float32 at least decides."""
    with without_autocast(streams):
        mixed = maps.residual.to(streams.dtype) @ streams
    return mixed + maps.post.to(streams.dtype)[..., None] * update[..., None, :]


def stream_terms(
    streams: Float[Tensor, "b *places m c"],
    h: Float[Tensor, "b *places c"],
    update: Float[Tensor, "b *places c"],
    written: Float[Tensor, "b *places m c"],
    real: Bool[Tensor, "b *places"],
) -> Float[Tensor, "b terms"]:
    """What may be held down in training, per chain, for one connected layer.

    residual_balance: squared distance of the update's share of |h|^2 + |update|^2 from one half.
    norm_preservation: squared growth or loss of the streams' norm beyond 20 %.
    activation: mean square of the layer's input.
    That the residual map is doubly stochastic needs no term: it is so by construction.
    """
    wide = torch.promote_types(torch.float32, h.dtype)
    size_h, size_update = (_square_sum(x.to(wide), real[..., None]) for x in (h, update))
    places = real[..., None, None]
    before, after = (_square_sum(x.to(wide), places) for x in (streams, written))
    share = size_update / (size_h + size_update + _SUM_EPS)
    growth = torch.sqrt((after + _SUM_EPS) / (before + _SUM_EPS)) - 1
    count = real.flatten(1).sum(1).clamp(min=1) * h.shape[-1]
    beyond = torch.relu(growth.abs() - _FREE_GROWTH)
    return torch.stack([(share - _BALANCED_SHARE).square(), beyond.square(), size_h / count], dim=1)


def _square_sum(x: Tensor, real: Tensor) -> Tensor:
    return (x * real).flatten(1).square().sum(1)
