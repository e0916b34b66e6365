"""Back ends of invariant point attention: one exact result, computed in several ways."""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

from foldwright.nn.invariant_point_attention import masked_softmax

PointBackend = Literal["auto", "reference", "sdpa", "gather"]

# Logit of a padded key in the lifted form. Real logits of a row reach at least the residue's own,
# which is not negative by much, so that the exponential of the difference is zero.
_PADDING_LOGIT = -1e5
_WIDTH_MULTIPLE = 8


@dataclass(frozen=True)
class DenseTerms:
    """Logit bias and value vector of every pair."""

    bias: Float[Tensor, "b h n m"]
    values: Float[Tensor, "b n m c"]


@dataclass(frozen=True)
class FactorTerms:
    """Bias sum_r left_bias_ir right_bias_jr and value vector sum_r left_ir right_jr."""

    left_bias: Float[Tensor, "b h n r"]
    right_bias: Float[Tensor, "b h m r"]
    left_values: Float[Tensor, "b n r c"]
    right_values: Float[Tensor, "b m r c"]


@dataclass(frozen=True)
class NeighbourTerms:
    """Bias and value vector of k neighbours of each query; no other key takes part."""

    index: Int[Tensor, "b n k"]
    present: Bool[Tensor, "b n k"]
    bias: Float[Tensor, "b h n k"]
    values: Float[Tensor, "b n k c"]


PairTerms = DenseTerms | FactorTerms | NeighbourTerms


@dataclass(frozen=True)
class PointAttentionTerms:
    """What one attention needs, in one unit of length and about one origin near the chain.

    Logit of (i, j): query_i . key_j - point_weight/2 * sum_p |query_points_ip - key_points_jp|^2
    + bias_ij. `mask` says which keys are real.
    """

    query: Float[Tensor, "b h n c"]
    key: Float[Tensor, "b h m c"]
    value: Float[Tensor, "b h m c"]
    query_points: Float[Tensor, "b h n p 3"]
    key_points: Float[Tensor, "b h m p 3"]
    value_points: Float[Tensor, "b h m v 3"]
    point_weight: Float[Tensor, " h"]
    mask: Bool[Tensor, "b m"]
    pair: PairTerms | None


@dataclass(frozen=True)
class Attended:
    """Weighted sums over keys: features, points, and pair vectors where there are any."""

    scalars: Float[Tensor, "b h n c"]
    points: Float[Tensor, "b h n v 3"]
    pairs: Float[Tensor, "b h n d"] | None


def attend(terms: PointAttentionTerms, *, backend: PointBackend = "auto") -> Attended:
    """Attend by the named back end; `auto` takes the one that is linear in memory.

    `reference` evaluates every pair, `sdpa` the lifted form (for factorised pairs or none),
    `gather` the neighbour lists (for sparse pairs). `auto` is `reference` for dense pairs.

    Raises:
        ValueError: the back end cannot compute pairs of this kind.
    """
    pair = terms.pair
    if backend == "auto":
        kinds: dict[type, PointBackend] = {DenseTerms: "reference", NeighbourTerms: "gather"}
        backend = kinds.get(type(pair), "sdpa")
    if backend == "reference":
        return _attend_densely(terms)
    if backend == "sdpa" and (pair is None or isinstance(pair, FactorTerms)):
        return _attend_lifted(terms, pair)
    if backend == "gather" and isinstance(pair, NeighbourTerms):
        return _attend_neighbours(terms, pair)
    needs = {
        "sdpa": "logits that are inner products: query width c + 3p + 1 + rank, so factorised "
        "pairs or none",
        "gather": "neighbour lists, so sparse pairs",
    }
    raise ValueError(
        f"point attention back end {backend!r} needs {needs[backend]}; got "
        f"{type(pair).__name__}: use 'auto' or 'reference'"
    )


def _attend_densely(terms: PointAttentionTerms) -> Attended:
    """The judge of the other back ends: explicit differences, one weight per pair."""
    offset = terms.query_points[:, :, :, None] - terms.key_points[:, :, None]
    distance = offset.square().sum((-1, -2))
    logits = terms.query @ terms.key.transpose(-1, -2)
    logits = logits - 0.5 * terms.point_weight[:, None, None] * distance
    pair = _dense_terms(terms)
    if pair is not None:
        logits = logits + pair.bias
    weights = masked_softmax(logits, terms.mask)
    if isinstance(terms.pair, NeighbourTerms):
        # a query without neighbours sees nothing at all
        weights = weights * terms.pair.present.any(-1)[:, None, :, None]
    pairs = None if pair is None else torch.einsum("bhij,bijc->bhic", weights, pair.values)
    points = torch.einsum("bhij,bhjvx->bhivx", weights, terms.value_points)
    return Attended(weights @ terms.value, points, pairs)


def _dense_terms(terms: PointAttentionTerms) -> DenseTerms | None:
    pair = terms.pair
    if isinstance(pair, FactorTerms):
        bias = pair.left_bias @ pair.right_bias.transpose(-1, -2)
        values = torch.einsum("birc,bjrc->bijc", pair.left_values, pair.right_values)
        return DenseTerms(bias, values)
    if isinstance(pair, NeighbourTerms):
        b, h, n, k = pair.bias.shape
        # absent neighbours go to one extra column, which is cut off
        index = pair.index.masked_fill(~pair.present, n)
        bias = pair.bias.new_full((b, h, n, n + 1), _PADDING_LOGIT)
        bias = bias.scatter(3, index[:, None].expand(b, h, n, k), pair.bias)
        values = pair.values.new_zeros(b, n, n + 1, pair.values.shape[-1])
        values = values.scatter(2, index[..., None].expand_as(pair.values), pair.values)
        return DenseTerms(bias[..., :n], values[:, :, :n])
    return pair


def _attend_lifted(terms: PointAttentionTerms, pair: FactorTerms | None) -> Attended:
    """Logits and values as inner products of longer vectors, through a fused kernel.

    Expanding |q - k|^2 and dropping |q|^2, which is constant in a row and leaves the softmax
    alone, query (q, w q_points, 1, left_bias) times key (k, k_points, -w/2 |k_points|^2,
    right_bias) is the logit up to that constant. The pair vectors need all right factors as
    values: row i contracts the attended ones with its left factors. Exact for any rank.
    """
    weight = terms.point_weight[:, None, None]
    query_points, key_points = terms.query_points.flatten(-2), terms.key_points.flatten(-2)
    squares = -0.5 * weight * key_points.square().sum(-1, keepdim=True)
    squares = squares.masked_fill(~terms.mask[:, None, :, None], _PADDING_LOGIT)
    query = [terms.query, weight * query_points, torch.ones_like(query_points[..., :1])]
    key = [terms.key, key_points, squares]
    value = [terms.value, terms.value_points.flatten(-2)]
    if pair is not None:
        query.append(pair.left_bias)
        key.append(pair.right_bias)
        right = pair.right_values.flatten(-2)[:, None]
        value.append(right.expand(-1, terms.key.shape[1], -1, -1))
    widths = [part.shape[-1] for part in value]
    attended = _fused_attention(torch.cat(query, -1), torch.cat(key, -1), torch.cat(value, -1))
    attended = attended * terms.mask.any(-1)[:, None, None, None]
    scalars, points, *rest = attended[..., : sum(widths)].split(widths, dim=-1)
    pairs = None if pair is None else _contract_ranks(rest[0], pair.left_values)
    return Attended(scalars, points.unflatten(-1, (-1, 3)), pairs)


def _fused_attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Softmax attention with scale 1; equal widths keep the fused kernels usable."""
    width = max(query.shape[-1], value.shape[-1])
    width = math.ceil(width / _WIDTH_MULTIPLE) * _WIDTH_MULTIPLE
    query, key, value = (
        functional.pad(part, (0, width - part.shape[-1])) for part in (query, key, value)
    )
    return functional.scaled_dot_product_attention(query, key, value, scale=1.0)


def _contract_ranks(attended: Tensor, left: Tensor) -> Tensor:
    """Sum over ranks of attended right factors (b h n r*c) times left factors (b n r c)."""
    by_rank = attended.unflatten(-1, left.shape[-2:])
    return (by_rank * left[:, None]).sum(-2)


def _attend_neighbours(terms: PointAttentionTerms, pair: NeighbourTerms) -> Attended:
    """Softmax over each residue's own neighbour list."""
    key, value = _take(terms.key, pair.index), _take(terms.value, pair.index)
    key_points = _take(terms.key_points.flatten(-2), pair.index)
    value_points = _take(terms.value_points.flatten(-2), pair.index)
    offset = terms.query_points.flatten(-2)[..., None, :] - key_points
    logits = (terms.query[..., None, :] * key).sum(-1) + pair.bias
    logits = logits - 0.5 * terms.point_weight[:, None, None] * offset.square().sum(-1)
    real = pair.present & terms.mask.gather(1, pair.index.flatten(1)).view_as(pair.index)
    real = real[:, None]
    weights = torch.softmax(logits.masked_fill(~real, torch.finfo(logits.dtype).min), dim=-1)
    weights = (weights * real)[..., None]
    return Attended(
        (weights * value).sum(-2),
        (weights * value_points).sum(-2).unflatten(-1, (-1, 3)),
        (weights * pair.values[:, None]).sum(-2),
    )


def _take(features: Tensor, index: Tensor) -> Tensor:
    """Rows (b h n k c) of features (b h m c) at the neighbours (b n k)."""
    b, h, _, c = features.shape
    flat = index.flatten(1)[:, None, :, None].expand(b, h, -1, c)
    return features.gather(2, flat).unflatten(2, index.shape[1:])
