"""Vector arithmetic in at least float32 whose gradients stay finite at length zero."""

import torch
from jaxtyping import Float
from torch import Tensor


def at_least_float32(*tensors: Tensor) -> tuple[Tensor, ...]:
    """The tensors in one dtype: the widest among them, and float32 at the least."""
    dtype = torch.float32
    for tensor in tensors:
        dtype = torch.promote_types(dtype, tensor.dtype)
    return tuple(tensor.to(dtype) for tensor in tensors)


def without_autocast(tensor: Tensor) -> torch.autocast:
    """Context in which matrix products on the device of `tensor` keep their precision."""
    return torch.autocast(tensor.device.type, enabled=False)


def dot(a: Float[Tensor, "*#batch 3"], b: Float[Tensor, "*#batch 3"]) -> Float[Tensor, "*batch"]:
    """Inner product over the last dimension."""
    return (a * b).sum(dim=-1)


def cross(
    a: Float[Tensor, "*#batch 3"], b: Float[Tensor, "*#batch 3"]
) -> Float[Tensor, "*batch 3"]:
    """Cross product over the last dimension."""
    return torch.linalg.cross(*torch.broadcast_tensors(a, b), dim=-1)


def norm(vector: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch"]:
    """Length of each vector; a zero vector has length 0 and gradient 0."""
    square = dot(vector, vector)
    zero = square == 0
    return torch.sqrt(square.masked_fill(zero, 1.0)).masked_fill(zero, 0.0)


def normalise(vector: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3"]:
    """Unit vector of the same direction; a vector of no length gives the first axis."""
    first_axis = torch.zeros_like(vector)
    first_axis[..., 0] = 1.0
    return _unit_or(vector, first_axis)


def normalise_across(
    vector: Float[Tensor, "*#batch 3"], axis: Float[Tensor, "*#batch 3"]
) -> Float[Tensor, "*batch 3"]:
    """Unit vector of the part of `vector` that is perpendicular to the unit vector `axis`.

    Where no such part is left, some unit vector perpendicular to `axis`.
    """
    vector, axis = torch.broadcast_tensors(vector, axis)
    across = vector - dot(vector, axis)[..., None] * axis
    return _unit_or(across, _any_perpendicular(axis.detach()))


def _unit_or(
    vector: Float[Tensor, "*batch 3"], fallback: Float[Tensor, "*batch 3"]
) -> Float[Tensor, "*batch 3"]:
    length = norm(vector)
    # Below this, a difference of coordinates of ordinary size is rounding.
    short = length < 10 * torch.finfo(vector.dtype).eps
    unit = vector / length.masked_fill(short, 1.0)[..., None]
    return torch.where(short[..., None], fallback, unit)


def _any_perpendicular(unit: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3"]:
    # Crossing with the coordinate axis of the smallest component is never degenerate.
    axis = torch.zeros_like(unit)
    axis.scatter_(-1, unit.abs().argmin(dim=-1, keepdim=True), 1.0)
    other = cross(unit, axis)
    return other / norm(other)[..., None]
