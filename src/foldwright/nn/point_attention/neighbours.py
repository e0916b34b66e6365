"""Point attention of each query over its own list of keys."""

import torch
from torch import Tensor

from foldwright.nn.point_attention.terms import Attended, NeighbourTerms, PointAttentionTerms


def attend_to_neighbours(terms: PointAttentionTerms) -> Attended:
    """Softmax over neighbour lists, for sparse pairs; a query without neighbours gets zero."""
    pair = terms.pair
    assert isinstance(pair, NeighbourTerms)
    key, value = _take(terms.key, pair.index), _take(terms.value, pair.index)
    key_points = _take(terms.key_points.flatten(-2), pair.index)
    value_points = _take(terms.value_points.flatten(-2), pair.index)
    offset = terms.query_points.flatten(-2)[..., None, :] - key_points
    logits = (key @ terms.query[..., None])[..., 0] + pair.bias
    logits = logits - 0.5 * terms.point_weight[:, None, None] * offset.square().sum(-1)
    real = pair.present & terms.mask.gather(1, pair.index.flatten(1)).view_as(pair.index)
    real = real[:, None]
    weights = torch.softmax(logits.masked_fill(~real, torch.finfo(logits.dtype).min), dim=-1)
    weights = weights * real
    row = weights[..., None, :]
    return Attended(
        (row @ value)[..., 0, :],
        (row @ value_points)[..., 0, :].unflatten(-1, (-1, 3)),
        (weights.transpose(1, 2) @ pair.values).transpose(1, 2),
    )


def _take(features: Tensor, index: Tensor) -> Tensor:
    """Rows (b h n k c) of features (b h m c) at the neighbours (b n k)."""
    b, h, _, c = features.shape
    flat = index.flatten(1)[:, None, :, None].expand(b, h, -1, c)
    return features.gather(2, flat).unflatten(2, index.shape[1:])
