"""Row chunks of pair operations on the CPU, shared by the chunked forms of single operations.

On a CPU the large temporaries of the pair tensor cost more than its arithmetic: the operating
system maps and zeroes each of them anew. `nn.chunked_triangle` and `nn.chunked_transition` work on
chunks of pairs that stay in the cache, keep few tensors for the backward pass and recompute the
rest chunk by chunk.

A layer norm and the linear map behind it are one matrix here, biases included (`fold_norm`), so
that neither pass over the pairs has a bias to add or to sum.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

# Matrix products fall from 90 to 65 GFLOP/s where their operands leave a cache of 512 KB.
_ELEMENTS_PER_CHUNK = 2**18
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


def chunk_pairs(num_pairs: int, width: int, whole: int = 1) -> Iterator[slice]:
    """Cut flattened pairs into runs that stay in the cache, each of `whole` pairs or a multiple.

    `width` is how many numbers a pair has where it has most.
    """
    step = max(1, _ELEMENTS_PER_CHUNK // width // whole) * whole
    for start in range(0, num_pairs, step):
        yield slice(start, min(start + step, num_pairs))


def fold_norm(weight: Tensor, bias: Tensor, norm_weight: Tensor, norm_bias: Tensor) -> Tensor:
    """Matrix (o c) that does a layer norm's affine part, a linear map and its bias.

    It takes what `normalise_rows` gives. Normalised vectors sum to zero over the channels, so that
    a number added to all entries of a row of the matrix has no effect on them; on vectors with one
    added to every channel it has a constant effect, and that is made the bias.
    """
    scaled = weight * norm_weight
    constant = torch.addmv(bias, weight, norm_bias)
    return scaled + (constant - scaled.sum(1))[:, None] / weight.shape[1]


class FoldedGradients(NamedTuple):
    """Gradients of what `fold_norm` takes."""

    weight: Tensor
    bias: Tensor
    norm_weight: Tensor
    norm_bias: Tensor


def unfold_norm(
    grad: Tensor, weight: Tensor, norm_weight: Tensor, norm_bias: Tensor
) -> FoldedGradients:
    """Take the gradient of a folded matrix, sums over `normalise_rows`, apart.

    Its rows sum to the bias's gradient for the same reason that the matrix holds the bias.
    """
    grad_bias = grad.sum(1) / weight.shape[1]
    grad_scaled = grad - grad_bias[:, None]
    return FoldedGradients(
        grad_scaled * norm_weight + torch.outer(grad_bias, norm_bias),
        grad_bias,
        (grad_scaled * weight).sum(0),
        grad_bias @ weight,
    )


class Normed(NamedTuple):
    """Normalised values plus one, and what the backward pass needs."""

    values: Tensor
    source: Tensor
    mean: Tensor
    reciprocal: Tensor


def normalise_rows(rows: Tensor, ones: Tensor) -> Normed:
    """Layer norm of rows (p c) without weights, plus one; `ones` (c) is made once a pass."""
    values, mean, reciprocal = torch.native_layer_norm(rows, ones.shape, ones, ones, _EPS)
    return Normed(values, rows, mean, reciprocal)


def normalise_rows_backward(grad: Tensor, normed: Normed) -> Tensor:
    """Gradient of the rows that `normalise_rows` took."""
    out: Tensor = torch.ops.aten.native_layer_norm_backward(
        grad,
        normed.source,
        (grad.shape[1],),
        normed.mean,
        normed.reciprocal,
        None,
        None,
        [True, False, False],
    )[0]
    return out


def normalise_columns(columns: Tensor) -> Normed:
    """The same over the first axis (c p): a batch norm with pairs for channels."""
    source = columns.contiguous()
    ones = columns.new_ones(columns.shape[1])
    values, mean, reciprocal = torch.native_batch_norm(
        source, ones, ones, None, None, True, 0.0, _EPS
    )
    return Normed(values, source, mean, reciprocal)


def normalise_columns_backward(grad: Tensor, normed: Normed) -> Tensor:
    """Gradient of the columns that `normalise_columns` took."""
    out: Tensor = torch.ops.aten.native_batch_norm_backward(
        grad,
        normed.source,
        None,
        None,
        None,
        normed.mean,
        normed.reciprocal,
        True,
        _EPS,
        [True, False, False],
    )[0]
    return out
