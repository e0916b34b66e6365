"""What one point attention takes and gives, whatever computes it."""

from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


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
    + bias_ij. `mask` says which keys are real, `query_mask` which queries are.
    """

    query: Float[Tensor, "b h n c"]
    key: Float[Tensor, "b h m c"]
    value: Float[Tensor, "b h m d"]
    query_points: Float[Tensor, "b h n p 3"]
    key_points: Float[Tensor, "b h m p 3"]
    value_points: Float[Tensor, "b h m v 3"]
    point_weight: Float[Tensor, " h"]
    mask: Bool[Tensor, "b m"]
    query_mask: Bool[Tensor, "b n"]
    pair: PairTerms | None


@dataclass(frozen=True)
class Attended:
    """Weighted sums over keys: features, points, and pair vectors where there are any."""

    scalars: Float[Tensor, "b h n d"]
    points: Float[Tensor, "b h n v 3"]
    pairs: Float[Tensor, "b h n c"] | None


def in_one_dtype(terms: PointAttentionTerms) -> PointAttentionTerms:
    """The terms with all floating tensors in the widest dtype among them, float32 at the least."""
    parts = [terms] if terms.pair is None else [terms, terms.pair]
    dtype = torch.float32
    for tensor in (getattr(part, field.name) for part in parts for field in fields(part)):
        if isinstance(tensor, Tensor) and tensor.is_floating_point():
            dtype = torch.promote_types(dtype, tensor.dtype)
    pair = None if terms.pair is None else replace(terms.pair, **_cast(terms.pair, dtype))
    return replace(terms, **_cast(terms, dtype) | {"pair": pair})


def _cast(record: PointAttentionTerms | PairTerms, dtype: torch.dtype) -> dict[str, Any]:
    tensors = ((field.name, getattr(record, field.name)) for field in fields(record))
    return {
        name: tensor.to(dtype)
        for name, tensor in tensors
        if isinstance(tensor, Tensor) and tensor.is_floating_point()
    }
