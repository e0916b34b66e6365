"""Point attention by Triton kernels, for CUDA devices."""

import importlib
from collections.abc import Callable
from types import ModuleType
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from foldwright.nn.point_attention.lifted import split_values
from foldwright.nn.point_attention.terms import Attended, FactorTerms, PointAttentionTerms

# Rows, keys and pipeline stages of a tile, for narrow operands and for wide ones: what is staged
# must fit into the shared memory of a multiprocessor, 163 kB at capability 8.0.
_NARROW_TILE = (64, 32, 2)
_WIDE_TILE = (32, 32, 1)
_NARROW = 32
_LEAST_BLOCK = 16
_MOST_COLUMNS = 64
_OLDEST_CAPABILITY = (8, 0)


def attend_by_triton(terms: PointAttentionTerms) -> Attended:
    """Attend with factorised pairs of any rank, or none, to any widths.

    Features, values and pair factors are multiplied in the dtype they come in (float32, or
    bfloat16 or float16 under autocast); distances, points and statistics are in float32.

    Raises:
        ModuleNotFoundError: Triton is not installed.
        ValueError: the device or the dtype is not one the kernels compute with.
    """
    _require_support(terms)
    pair = terms.pair
    if isinstance(pair, FactorTerms):
        query = _rows([terms.query, pair.left_bias])
        key = _rows([terms.key, pair.right_bias])
        left, right = pair.left_values, pair.right_values
    else:
        b, _, n, _ = terms.query.shape
        query, key = _rows([terms.query]), _rows([terms.key])
        left, right = (terms.value.new_empty(b, size, 0, 0) for size in (n, terms.mask.shape[1]))
    values, points, pairs = _KernelAttention.apply(
        query,
        key,
        *(_points(given) for given in (terms.query_points, terms.key_points)),
        _rows([terms.value]),
        _points(terms.value_points),
        left.flatten(2).contiguous(),
        right.flatten(2).contiguous(),
        terms.point_weight.float().contiguous(),
        (terms.query_mask, terms.mask, left.shape[2]),
    )
    found = torch.cat([values, points], -1).unflatten(0, terms.query.shape[:2])
    pairs = pairs.unflatten(0, terms.query.shape[:2])
    return split_values(terms, found, pairs if isinstance(pair, FactorTerms) else None)


def _require_support(terms: PointAttentionTerms) -> None:
    kernels = _kernels()
    device = terms.query.device
    if terms.query_points.dtype == torch.float64:
        raise ValueError(
            "point attention back end 'triton' computes in float32, got float64: "
            "use 'auto' or 'reference'"
        )
    if kernels.interpreted():
        return
    if device.type != "cuda" or torch.version.cuda is None:
        raise ValueError(
            f"point attention back end 'triton' needs a CUDA device, got {device}: use 'auto', "
            "'tiles' on a CPU or 'sdpa' elsewhere"
        )
    capability = torch.cuda.get_device_capability(device)
    if capability < _OLDEST_CAPABILITY:
        raise ValueError(
            f"point attention back end 'triton' needs TF32, so compute capability 8.0; {device} "
            f"has {capability[0]}.{capability[1]}: use 'sdpa'"
        )


def _kernels() -> ModuleType:
    try:
        return importlib.import_module("foldwright.nn.point_attention.kernels")
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "point attention back end 'triton' needs the package triton, which comes with PyTorch "
            "for CUDA: install it, or use 'auto'",
            name=error.name,
        ) from error


class _KernelAttention(torch.autograd.Function):
    """Values, points and pair vectors (b*h n w) from operands in the layout of the kernels."""

    @staticmethod
    def forward(ctx: Any, *given: Any) -> tuple[Tensor, Tensor, Tensor]:
        """Take the nine operands, and both masks and the rank."""
        *operands, (query_mask, mask, rank) = given
        query, _, _, _, value, points, left, _, _ = operands
        channels = left.shape[2] // rank if rank else 0
        widths = (value.shape[2], points.shape[2], channels)
        shape = query.shape[:2]
        found = [query.new_zeros(*shape, width, dtype=torch.float32) for width in widths]
        normaliser = query.new_zeros(shape, dtype=torch.float32)
        launch = _Launch(operands, (query_mask, mask), rank)
        launch.over("attend_kernel", "rows", (*found, normaliser, normaliser))
        ctx.save_for_backward(*operands, query_mask, mask, *found, normaliser)
        ctx.rank = rank
        return found[0], found[1], found[2]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of the nine operands."""
        operands, masks = list(ctx.saved_tensors[:9]), ctx.saved_tensors[9:11]
        *found, normaliser = ctx.saved_tensors[11:]
        mean = sum(((g * f).sum(-1) for g, f in zip(upstream, found, strict=True)))
        sums = [torch.zeros_like(operand, dtype=torch.float32) for operand in operands[:8]]
        sums.append(torch.zeros_like(normaliser))
        launch = _Launch(operands, masks, ctx.rank)
        given = (*(gradient.contiguous() for gradient in upstream), normaliser, mean)
        launch.over("row_gradient_kernel", "rows", given, sums)
        launch.over("key_gradient_kernel", "keys", given, sums)
        if ctx.rank:
            launch.over("left_gradient_kernel", "rows of items", given, sums)
            launch.over("right_gradient_kernel", "keys of items", given, sums)
        heads = operands[8].shape[0]
        sums[8] = sums[8].view(-1, heads, sums[8].shape[1]).sum((0, 2))
        return *(s.to(o.dtype) for s, o in zip(sums, operands, strict=True)), None


class _Launch:
    """Grids and arguments of the kernels for one set of operands."""

    def __init__(self, operands: list[Tensor], masks: tuple[Tensor, Tensor], rank: int) -> None:
        self._kernels = _kernels()
        query, _, points, _, value, value_points, left, _, weight = operands
        self._items, self._heads = len(masks[0]), weight.shape[0]
        widths = {
            "feature": query.shape[2],
            "coordinate": points.shape[2],
            "scalar": value.shape[2],
            "value_coordinate": value_points.shape[2],
            "channel": left.shape[2] // rank if rank else 0,
        }
        blocks = {f"{name}_block": _block(width) for name, width in widths.items()}
        narrow = max(blocks.values()) <= _NARROW
        rows, keys, self._stages = _NARROW_TILE if narrow else _WIDE_TILE
        self._sizes = self._kernels.KernelSizes(
            heads=self._heads,
            rank=rank,
            rows=rows,
            keys=keys,
            factor_block=_block(left.shape[2]),
            **widths,
            **blocks,
        )
        query_mask, mask = masks
        self._operands = self._kernels.KernelOperands(
            *operands,
            mask.to(torch.uint8),
            _extent(query_mask),
            _extent(mask),
            query_mask.shape[1],
            mask.shape[1],
        )

    def over(
        self,
        kernel: str,
        axis: str,
        results: tuple[Tensor, ...],
        gradients: list[Tensor] | None = None,
    ) -> None:
        """Run one kernel over tiles of rows or keys, of heads or of items."""
        sizes, t = self._sizes, self._operands
        tiles = -(-t.n // sizes.rows) if axis.startswith("rows") else -(-t.m // sizes.keys)
        if axis.endswith("items"):
            grid = (tiles, self._items, -(-sizes.rank * sizes.channel // sizes.factor_block))
        else:
            names = ("feature", "coordinate", "scalar", "value_coordinate", "channel")
            counts = [-(-getattr(sizes, name) // getattr(sizes, f"{name}_block")) for name in names]
            grid = (tiles, self._items * self._heads, max(counts))
        arguments = [t, self._kernels.KernelResults(*results)]
        if gradients is not None:
            arguments.append(self._kernels.KernelGradients(*gradients))
        run: Callable[..., object] = getattr(self._kernels, kernel)[grid]
        run(*arguments, sizes, num_stages=self._stages)


def _block(width: int) -> int:
    """The smallest power of two that holds the width, within what a tile can hold."""
    return min(max(_LEAST_BLOCK, 1 << (width - 1).bit_length()), _MOST_COLUMNS)


def _extent(mask: Tensor) -> Tensor:
    """Number of places up to the last real one, for every item."""
    place = torch.arange(1, mask.shape[1] + 1, device=mask.device)
    return (place * mask).amax(1).to(torch.int32)


def _rows(parts: list[Tensor]) -> Tensor:
    """Features side by side (b*h n w), in the dtype of the first, contiguous."""
    joined = torch.cat([part.to(parts[0].dtype) for part in parts], -1)
    return joined.flatten(0, 1).contiguous()


def _points(points: Tensor) -> Tensor:
    """Coordinates (b*h n 3p) in float32."""
    return points.float().flatten(-2).flatten(0, 1).contiguous()
