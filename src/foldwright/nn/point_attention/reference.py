"""Point attention by explicit differences: the judge of the other back ends."""

import torch

from foldwright.nn.invariant_point_attention import masked_softmax
from foldwright.nn.point_attention.terms import (
    Attended,
    DenseTerms,
    FactorTerms,
    NeighbourTerms,
    PointAttentionTerms,
)

# Bias of a key that is no neighbour: its weight is zero beside any that is.
_NO_NEIGHBOUR = -1e5


def attend_by_differences(terms: PointAttentionTerms) -> Attended:
    """One weight per pair, for every kind of pairs; n^2 memory."""
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
        m = terms.mask.shape[1]
        # absent neighbours go to one extra column, which is cut off
        index = pair.index.masked_fill(~pair.present, m)
        bias = pair.bias.new_full((b, h, n, m + 1), _NO_NEIGHBOUR)
        bias = bias.scatter(3, index[:, None].expand(b, h, n, k), pair.bias)
        values = pair.values.new_zeros(b, n, m + 1, pair.values.shape[-1])
        values = values.scatter(2, index[..., None].expand_as(pair.values), pair.values)
        return DenseTerms(bias[..., :m], values[:, :, :m])
    return pair
