"""Pair vectors within a tile of rows and keys: attended, and their gradients.

Both forms give sum_k weight_hik * sum_r left_ir right_kr, and have the same three methods.
`SharedFactors` attends to the right factors of all ranks, heads * rank products per pair and
channel, in the shape in which a CPU multiplies fastest. `TileVectors` multiplies the pair vectors
of the tile out, once for all heads: heads + rank products, so that a high rank costs little.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

Tile = tuple[slice, slice]
"""Rows and keys."""


class TileRoom:
    """Memory for the numbers of a tile; fresh memory costs more than the arithmetic.

    What is computed into it holds until the next computation.
    """

    def __init__(self, like: Tensor) -> None:
        self._numbers = like.new_empty(0)

    def product(self, one: Tensor, two: Tensor) -> Tensor:
        """Batched matrix product."""
        shape = (one.shape[0], one.shape[1], two.shape[2])
        count = math.prod(shape)
        if self._numbers.numel() < count:
            self._numbers = one.new_empty(count)
        return torch.bmm(one, two, out=self._numbers[:count].view(shape))


class SharedFactors(NamedTuple):
    """Right factors of all ranks side by side; the left ones come in after the attention."""

    right: Tensor  # m u

    def attended(self, weights: Tensor, tile: Tile) -> Tensor:
        """Right factors of all ranks (h rows u) attended to with the weights (h rows keys)."""
        return (weights.flatten(0, 1) @ self.right[tile[1]]).unflatten(0, weights.shape[:2])

    def add_weight_gradients(self, sums: Tensor, grad: Tensor, tile: Tile) -> None:
        """Add to the gradients (h rows keys) of the weights, in one product for all heads."""
        sums.flatten(0, 1).addmm_(grad.flatten(0, 1), self.right[tile[1]].t())

    def add_gradients(self, sums: list[Tensor], weights: Tensor, grad: Tensor, tile: Tile) -> None:
        """Add to the gradient of the factors, in one product over heads and rows."""
        sums[0][tile[1]].addmm_(weights.flatten(0, 1).t(), grad.flatten(0, 1))


class TileVectors:
    """Both factors, channels first: (c n r) and (c r m)."""

    def __init__(self, left: Tensor, right: Tensor) -> None:
        self.left = left
        self.right = right
        self._vectors_room, self._weights_room = TileRoom(left), TileRoom(left)

    def attended(self, weights: Tensor, tile: Tile) -> Tensor:
        """Pair vectors (h rows c) attended to with the weights (h rows keys)."""
        return (weights.transpose(0, 1) @ self._vectors(tile)).transpose(0, 1)

    def add_weight_gradients(self, sums: Tensor, grad: Tensor, tile: Tile) -> None:
        """Add to the gradients (h rows keys) of the weights, in a product for every row."""
        vectors = self._vectors(tile).transpose(1, 2)
        sums += self._weights_room.product(grad.transpose(0, 1), vectors).transpose(0, 1)

    def add_gradients(self, sums: list[Tensor], weights: Tensor, grad: Tensor, tile: Tile) -> None:
        """Add to the gradients of both factors those of the vectors times the other factor."""
        rows, keys = tile
        vectors = self._vectors_room.product(grad.permute(1, 2, 0), weights.transpose(0, 1))
        vectors = vectors.transpose(0, 1)
        sums[0][:, rows] += vectors @ self.right[:, :, keys].transpose(1, 2)
        sums[1][:, :, keys] += self.left[:, rows].transpose(1, 2) @ vectors

    def _vectors(self, tile: Tile) -> Tensor:
        """Pair vectors (rows keys c) of a tile."""
        rows, keys = tile
        vectors = self._vectors_room.product(self.left[:, rows], self.right[:, :, keys])
        return vectors.permute(1, 2, 0)


TilePairs = SharedFactors | TileVectors
