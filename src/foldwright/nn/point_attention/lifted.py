"""Point attention as inner products of longer vectors.

Expanding |q - k|^2 and dropping |q|^2, which is constant in a row and leaves the softmax alone,
query (q, w q_points, 1, left_bias) times key (k, k_points, -w/2 |k_points|^2, right_bias) is the
logit up to that constant; values are (value, value points). Exact for any rank of the bias.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from foldwright.nn.point_attention.terms import (
    Attended,
    DenseTerms,
    FactorTerms,
    PointAttentionTerms,
)

# Logit of a padded key. Real logits of a row reach at least the residue's own, which is not
# negative by much, so that the exponential of the difference is zero.
_PADDING_LOGIT = -1e5
_WIDTH_MULTIPLE = 8
# Pair vectors multiplied out for all heads at once pay above this rank, as long as they stay in the
# cache: with 12 heads and 32 channels a third faster at rank 16 and 128 or 256 residues, slower at
# 384 and at rank 8.
_SHARED_RANK = 8
_MOST_PAIR_NUMBERS = 2**21


def lifted_queries(terms: PointAttentionTerms) -> Float[Tensor, "b h n w"]:
    """Queries of the lifted form: features, weighted points, 1, left factors of the bias."""
    points = terms.point_weight[:, None, None] * terms.query_points.flatten(-2)
    parts = [terms.query, points, torch.ones_like(points[..., :1])]
    if isinstance(terms.pair, FactorTerms):
        parts.append(terms.pair.left_bias)
    return torch.cat(parts, -1)


def lifted_keys(terms: PointAttentionTerms) -> Float[Tensor, "b h m w"]:
    """Keys of the lifted form: features, points, their squares, right factors of the bias."""
    points = terms.key_points.flatten(-2)
    squares = -0.5 * terms.point_weight[:, None, None] * points.square().sum(-1, keepdim=True)
    squares = squares.masked_fill(~terms.mask[:, None, :, None], _PADDING_LOGIT)
    parts = [terms.key, points, squares]
    if isinstance(terms.pair, FactorTerms):
        parts.append(terms.pair.right_bias)
    return torch.cat(parts, -1)


def lifted_values(terms: PointAttentionTerms) -> Float[Tensor, "b h m w"]:
    """Values of the lifted form: features, then the coordinates of the points."""
    return torch.cat([terms.value, terms.value_points.flatten(-2)], -1)


def split_values(
    terms: PointAttentionTerms,
    values: Float[Tensor, "b h n w"],
    pairs: Float[Tensor, "b h n c"] | None,
) -> Attended:
    """Undo `lifted_values` on attended values."""
    scalars, points = values.tensor_split([terms.value.shape[-1]], dim=-1)
    return Attended(scalars, points.unflatten(-1, (-1, 3)), pairs)


def contract_ranks(
    attended: Float[Tensor, "b h n rc"], pair: FactorTerms
) -> Float[Tensor, "b h n c"]:
    """Pair vectors from the attended right factors of all ranks: times the row's left ones."""
    by_rank = attended.unflatten(-1, pair.left_values.shape[-2:])
    return (by_rank * pair.left_values[:, None]).sum(-2)


def attend_by_products(terms: PointAttentionTerms) -> Attended:
    """All weights at once from plain matrix products: n^2 memory, and fast for short chains."""
    pair = terms.pair
    logits = lifted_queries(terms) @ lifted_keys(terms).transpose(-1, -2)
    if isinstance(pair, DenseTerms):
        logits = logits + pair.bias
    weights = torch.softmax(logits, dim=-1)
    attended = weights @ lifted_values(terms)
    if pair is None:
        return split_values(terms, attended, None)
    if isinstance(pair, DenseTerms):
        by_row = weights.transpose(1, 2) @ pair.values
        return split_values(terms, attended, by_row.transpose(1, 2))
    assert isinstance(pair, FactorTerms)
    return split_values(terms, attended, _attended_pairs(weights, pair))


def _attended_pairs(weights: Tensor, pair: FactorTerms) -> Tensor:
    """Pair vectors (b h n c) attended to with the weights (b h n m), in the faster way."""
    b, n, rank, c = pair.left_values.shape
    if rank > _SHARED_RANK and b * n * weights.shape[-1] * c <= _MOST_PAIR_NUMBERS:
        vectors = torch.einsum("birc,bjrc->bijc", pair.left_values, pair.right_values)
        return (weights.transpose(1, 2) @ vectors).transpose(1, 2)
    # all right factors in one product
    by_rank = weights.flatten(1, 2) @ pair.right_values.flatten(2)
    return contract_ranks(by_rank.unflatten(1, weights.shape[1:3]), pair)


def attend_by_sdpa(terms: PointAttentionTerms) -> Attended:
    """One call of PyTorch's fused attention, on any device.

    The pair vectors need all right factors as values: row i contracts the attended ones with its
    left factors.
    """
    pair, value = terms.pair, lifted_values(terms)
    width = value.shape[-1]
    if isinstance(pair, FactorTerms):
        right = pair.right_values.flatten(-2)[:, None]
        value = torch.cat([value, right.expand(-1, value.shape[1], -1, -1)], -1)
    attended = _fused_attention(lifted_queries(terms), lifted_keys(terms), value)
    values, rest = attended[..., : value.shape[-1]].tensor_split([width], dim=-1)
    if not isinstance(pair, FactorTerms):
        return split_values(terms, values, None)
    return split_values(terms, values, contract_ranks(rest, pair))


def _fused_attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Softmax attention with scale 1; equal widths keep the fused kernels usable."""
    width = max(query.shape[-1], value.shape[-1])
    width = math.ceil(width / _WIDTH_MULTIPLE) * _WIDTH_MULTIPLE
    query, key, value = (
        functional.pad(part, (0, width - part.shape[-1])) for part in (query, key, value)
    )
    return functional.scaled_dot_product_attention(query, key, value, scale=1.0)
