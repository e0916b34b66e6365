"""Triangle and axial attention on factorised pairs, row by row, without the pair tensor.

The rows of the pair tensor are multiplied out of the factors a few at a time, attended as the dense
block attends them, and leave again; logits exist for a tile of queries at a time. The result of a
row is that of the dense block on the materialised pair. Time stays that of the dense block, n^3.
"""

import math
from collections.abc import Callable

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from foldwright.geometry.vectors import at_least_float32, without_autocast
from foldwright.nn.axial_attention import AxialAttention
from foldwright.nn.pair import FactorizedPair
from foldwright.nn.residue_chunks import map_recomputed, recomputed
from foldwright.nn.triangle import TriangleAttention

RowAttention = TriangleAttention | AxialAttention

_CHUNK_ELEMENTS = 2**19
_RIDGE = 1e-5


class FactorizedRowAttention(nn.Module):
    """A dense block of triangle or axial attention, applied to factors.

    The update of the pair is dense and of full rank. Added to the factors is its projection (least
    squares, channel by channel) on the span of the present factors: on the right factors for
    `starting`, which changes the left ones, and the reverse for `ending`. The rank stays; the part
    of the update outside that span is lost.
    """

    def __init__(self, block: RowAttention) -> None:
        super().__init__()
        self.block = block

    def forward(self, z: FactorizedPair, mask: Bool[Tensor, "b n"]) -> FactorizedPair:
        """Compute the update of the factors; that of one side is zero, and that of padding."""
        turned = self._turned(z)
        basis = span_projector(turned.right, mask)

        def project(update: Tensor) -> Tensor:
            return torch.einsum("bijc,bjrc->birc", update, basis)

        change = self._rows(turned, mask, project) * mask[:, :, None, None]
        return self._turned(FactorizedPair(change, torch.zeros_like(change)))

    def materialised_update(
        self, z: FactorizedPair, mask: Bool[Tensor, "b n"]
    ) -> Float[Tensor, "b n n c"]:
        """The whole dense update, for tests and short chains."""
        update = self._rows(self._turned(z), mask, lambda update: update)
        return update if self.block.node == "starting" else update.transpose(1, 2)

    def _turned(self, z: FactorizedPair) -> FactorizedPair:
        """The transposed pair for the ending node, whose columns are then rows."""
        return z if self.block.node == "starting" else FactorizedPair(z.right, z.left)

    def _rows(self, z: FactorizedPair, mask: Tensor, finish: Callable[[Tensor], Tensor]) -> Tensor:
        b, n, _, c = z.left.shape
        rows = max(1, _CHUNK_ELEMENTS // (b * n * c))
        tile = max(1, _CHUNK_ELEMENTS // (rows * b * n * self.block.mha.num_heads))
        lefts = z.left.split(min(tile, rows), dim=1)

        def attend(left: Tensor, real: Tensor) -> tuple[Tensor]:
            normed = self._normed(left, z.right)
            keys = real[:, :, None] & mask[:, None]
            return (finish(self._attend(normed, lefts, z.right, keys)),)

        (out,) = map_recomputed(attend, (z.left, mask), rows=rows)
        return out

    def _normed(self, left: Tensor, right: Tensor) -> Tensor:
        """Some rows of the pair tensor, normalised (b i n c)."""
        rows: Tensor = self.block.layer_norm(torch.einsum("birc,bjrc->bijc", left, right))
        return rows

    def _attend(
        self, normed: Tensor, lefts: tuple[Tensor, ...], right: Tensor, keys: Tensor
    ) -> Tensor:
        """Attend within some rows, a tile of queries after the other."""
        mha = self.block.mha
        query, key, value = (
            linear(normed).unflatten(-1, (mha.num_heads, -1)).transpose(2, 3)
            for linear in (mha.linear_q, mha.linear_k, mha.linear_v)
        )
        query = query / math.sqrt(query.shape[-1])

        def one_tile(query: Tensor, left: Tensor) -> Tensor:
            logits = query @ key.transpose(-1, -2)
            if isinstance(self.block, TriangleAttention):
                bias = self.block.linear(self._normed(left, right))
                logits = logits + bias.permute(0, 3, 1, 2)[:, None]
            real = keys[:, :, None, None]
            logits = logits.masked_fill(~real, torch.finfo(logits.dtype).min)
            return (torch.softmax(logits, dim=-1) * real) @ value

        sizes = [left.shape[1] for left in lefts]
        tiles = zip(query.split(sizes, dim=3), lefts, strict=True)
        parts = [recomputed(one_tile, tile) for tile in tiles]
        attended = torch.cat(parts, dim=3).transpose(2, 3).flatten(-2)
        update: Tensor = mha.linear_o(attended * torch.sigmoid(mha.linear_g(normed)))
        return update


def span_projector(
    factor: Float[Tensor, "b n r c"], mask: Bool[Tensor, "b n"]
) -> Float[Tensor, "b n r c"]:
    """Weights that turn a row of a pair into its least-squares coefficients on a factor.

    With V of shape (n r) per channel: V (V^T V)^-1, so that U V (V^T V)^-1 V^T is the best
    approximation of U among the pairs with that factor. A ridge of 1e-5 of the mean square keeps
    the inverse finite where columns of V depend on one another.
    """
    with without_autocast(factor):
        (real,) = at_least_float32(factor * mask[:, :, None, None])
        columns = real.permute(0, 3, 2, 1)
        gram = columns @ columns.transpose(-1, -2)
        mean = gram.diagonal(dim1=-2, dim2=-1).mean(-1)[..., None, None]
        eye = torch.eye(gram.shape[-1], dtype=gram.dtype, device=gram.device)
        weights: Tensor = torch.linalg.solve(gram + (mean + 1) * _RIDGE * eye, columns)
    return weights.permute(0, 3, 2, 1).to(factor.dtype)
