"""Row chunks of pair operations on the CPU, shared by the chunked forms of single operations.

On a CPU the large temporaries of the pair tensor cost more than its arithmetic: the operating
system maps and zeroes each of them anew. `nn.chunked_triangle` and `nn.chunked_transition` work on
chunks of pairs that stay in the cache, keep few tensors for the backward pass and recompute the
rest chunk by chunk.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

_PAIRS_PER_CHUNK = 1024
_EPS = 1e-5
# Measured on two EPYC cores: below the first size plain operations are as fast; up to the second
# one the backward pass gets more intermediates instead of recomputing them.
_CHUNKED_FROM_BYTES = 4 * 2**20
_KEEP_UP_TO_BYTES = 16 * 2**20


def chunks_help(z: Tensor) -> bool:
    """Whether the chunked functions are the better choice for this tensor."""
    large = z.numel() * z.element_size() >= _CHUNKED_FROM_BYTES
    return large and z.device.type == "cpu" and not torch.is_autocast_enabled("cpu")


def keeps_intermediates(z: Tensor) -> bool:
    """Whether the forward pass keeps more than it must, to spare the backward pass work."""
    return z.numel() * z.element_size() <= _KEEP_UP_TO_BYTES


def chunk_pairs(num_pairs: int, whole: int = 1) -> Iterator[slice]:
    """Cut flattened pairs into runs that stay in the cache, each of `whole` pairs or a multiple."""
    step = max(1, _PAIRS_PER_CHUNK // whole) * whole
    for start in range(0, num_pairs, step):
        yield slice(start, min(start + step, num_pairs))


def normalise_rows(rows: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Layer norm, with the mean and the reciprocal deviation that its backward pass needs."""
    out: tuple[Tensor, Tensor, Tensor] = torch.native_layer_norm(
        rows, weight.shape, weight, bias, _EPS
    )
    return out


def normalise_rows_backward(
    grad: Tensor,
    rows: Tensor,
    moments: list[Tensor],
    weight: Tensor,
    bias: Tensor,
    sums: list[Tensor],
) -> Tensor:
    """Gradient of the layer norm's input; those of weight and bias are added to the two `sums`."""
    grad_rows, grad_weight, grad_bias = torch.ops.aten.native_layer_norm_backward(
        grad, rows, weight.shape, *moments, weight, bias, [True, True, True]
    )
    sums[0] += grad_weight
    sums[1] += grad_bias
    out: Tensor = grad_rows
    return out


def normalise_channels(columns: Tensor) -> tuple[Tensor, Tensor]:
    """Zero mean and unit variance over the first axis (c p), and the reciprocal deviation (p)."""
    centred = columns - columns.mean(0)
    reciprocal = centred.square().mean(0).add_(_EPS).rsqrt_()
    return centred.mul_(reciprocal), reciprocal


def normalise_channels_backward(grad: Tensor, normed: Tensor, reciprocal: Tensor) -> Tensor:
    """Gradient of the columns that `normalise_channels` took."""
    along = (grad * normed).mean(0)
    return (grad - grad.mean(0)).sub_(normed * along).mul_(reciprocal)


def add_linear_gradients(sums: list[Tensor], grad: Tensor, rows: Tensor) -> None:
    """Add the gradients of a linear map's weight and bias, from rows of outputs and inputs."""
    sums[0].addmm_(grad.t(), rows)
    sums[1] += grad.sum(0)
