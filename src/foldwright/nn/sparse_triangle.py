"""Triangle multiplication and row attention of sparse pairs: edges outside the lists do not exist.

The blocks take the dense block of the same name and run it on neighbour lists: with lists that hold
every residue the result is the dense one. With fewer neighbours it is that of the dense block where
the sums run over existing edges only.
"""

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from foldwright.nn.axial_attention import AxialAttention
from foldwright.nn.pair import SparsePair
from foldwright.nn.residue_chunks import map_recomputed, residues_per_chunk
from foldwright.nn.sparse_edges import NeighbourGraph
from foldwright.nn.triangle import TriangleAttention, TriangleDirection, TriangleMultiplication

_CHUNK_ELEMENTS = 2**18


class SparseTriangleMultiplication(nn.Module):
    """Triangle multiplication over the triangles whose three edges are in the neighbour lists."""

    def __init__(self, block: TriangleMultiplication) -> None:
        super().__init__()
        self.block = block

    def forward(self, z: SparsePair) -> Float[Tensor, "b n k c"]:
        """Compute the update of the listed pairs; absent places get zero."""
        b, _, k, _ = z.values.shape
        rows = residues_per_chunk(b * k)
        left, right = map_recomputed(self._gated, (z.values, z.present), rows=rows)
        product = multiply_listed_triangles(
            SparsePair(left, z.index, z.present), right, direction=self.block.direction
        )
        (update,) = map_recomputed(self._out, (z.values, product, z.present), rows=rows)
        return update

    def _gated(self, values: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        block, real = self.block, present[..., None]
        normed = block.layer_norm_in(values)
        left = block.linear_a_p(normed) * torch.sigmoid(block.linear_a_g(normed)) * real
        right = block.linear_b_p(normed) * torch.sigmoid(block.linear_b_g(normed)) * real
        return left, right

    def _out(self, values: Tensor, product: Tensor, present: Tensor) -> tuple[Tensor]:
        block = self.block
        gate = torch.sigmoid(block.linear_g(block.layer_norm_in(values)))
        update = block.linear_z(block.layer_norm_out(product)) * gate
        return (update * present[..., None],)


def multiply_listed_triangles(
    a: SparsePair, b: Float[Tensor, "b n k c"], *, direction: TriangleDirection
) -> Float[Tensor, "b n k c"]:
    """Sum over the third corner of every triangle whose edges are listed; `b` has the lists of `a`.

    Outgoing: sum_l a_il b_jl; incoming: sum_l a_li b_lj, at the listed pairs (i, j), which is the
    dense contraction of the materialised pairs there. O(n k^2 c) work, O(n k c) memory.
    """
    graph = NeighbourGraph.of(a)
    real = a.present[..., None]
    sides = [(values * real).flatten(0, 1) for values in (a.values, b)]
    out: Tensor = _ListedTriangles.apply(graph, direction == "outgoing", *sides)
    return out.view(a.values.shape) * real


class _ListedTriangles(torch.autograd.Function):
    """A product and its gradients are derivatives of one sum over all listed triangles.

    A triangle is a residue with two of its edges, x and y, and the edge w from the end of x to the
    end of y: T(x, y, w) = sum of x y w. Outgoing is dT/dx at y = a, w = b; incoming dT/dw at x = a,
    y = b. Between the passes only a and b are kept.
    """

    @staticmethod
    def forward(ctx: Any, graph: NeighbourGraph, outgoing: bool, a: Tensor, b: Tensor) -> Tensor:
        ctx.save_for_backward(a, b)
        ctx.graph, ctx.outgoing = graph, outgoing
        return _toward_x(graph, a, b) if outgoing else _toward_w(graph, a, b)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        a, b = ctx.saved_tensors
        if ctx.outgoing:
            gradients = _toward_y(ctx.graph, grad, b), _toward_w(ctx.graph, grad, a)
        else:
            gradients = _toward_x(ctx.graph, b, grad), _toward_y(ctx.graph, a, grad)
        return None, None, *gradients


def _toward_x(graph: NeighbourGraph, y: Tensor, w: Tensor) -> Tensor:
    out = torch.empty_like(y)
    for rows in _row_chunks(y):
        out[rows] = _third_values(graph, rows, w).mul_(y[rows, None]).sum(2)
    return out


def _toward_y(graph: NeighbourGraph, x: Tensor, w: Tensor) -> Tensor:
    out = torch.empty_like(x)
    for rows in _row_chunks(x):
        out[rows] = _third_values(graph, rows, w).mul_(x[rows, :, None]).sum(1)
    return out


def _toward_w(graph: NeighbourGraph, x: Tensor, y: Tensor) -> Tensor:
    out = torch.zeros_like(x).flatten(0, 1)
    for rows in _row_chunks(x):
        edge, exists = graph.third_edges(rows)
        products = x[rows, :, None] * y[rows, None]
        out.index_add_(0, edge[exists], products[exists])
    return out.view(x.shape)


def _third_values(graph: NeighbourGraph, rows: slice, w: Tensor) -> Tensor:
    """Vectors of the third edges, (i p q c), zero where there is none."""
    edge, exists = graph.third_edges(rows)
    return w.flatten(0, 1)[edge].mul_(exists[..., None])


def _row_chunks(values: Tensor) -> list[slice]:
    n, k, c = values.shape
    step = max(1, _CHUNK_ELEMENTS // (k * k * c))
    return [slice(start, start + step) for start in range(0, n, step)]


class SparseRowAttention(nn.Module):
    """Triangle or axial attention along the neighbour lists.

    Pair (i, j) attends to the listed pairs (i, l); a third edge (j, l) that is not listed adds no
    bias. The attention around the ending node works on pairs whose reverse is listed too, (l, j)
    with (j, l); the others get no update from it.
    """

    def __init__(self, block: TriangleAttention | AxialAttention) -> None:
        super().__init__()
        self.block = block

    def forward(self, z: SparsePair) -> Float[Tensor, "b n k c"]:
        """Compute the update of the listed pairs; absent places get zero."""
        graph = NeighbourGraph.of(z)
        values, present = z.values.flatten(0, 1), graph.present
        if self.block.node == "starting":
            update = self._along_rows(graph, values, present)
        else:
            reverse, present = graph.reverse_edges()
            turned = values.flatten(0, 1)[reverse] * present[..., None]
            update = self._along_rows(graph, turned, present).flatten(0, 1)[reverse]
        return (update * present[..., None]).view(z.values.shape)

    def _along_rows(self, graph: NeighbourGraph, values: Tensor, present: Tensor) -> Tensor:
        normed = self.block.layer_norm(values)
        bias = None
        if isinstance(self.block, TriangleAttention):
            bias = (self.block.linear(normed) * present[..., None]).flatten(0, 1)
        n, k, _ = values.shape
        rows = max(1, _CHUNK_ELEMENTS // (k * k * self.block.mha.num_heads))

        def attend(normed: Tensor, present: Tensor, place: Tensor) -> tuple[Tensor]:
            first = int(place[0, 0])
            third = None
            if bias is not None:
                edge, exists = graph.third_edges(slice(first, first + place.shape[1]))
                third = (bias[edge] * exists[..., None]).permute(0, 3, 1, 2)
            return (self._attend(normed[0], third, present[0])[None],)

        place = torch.arange(n, device=values.device)
        (update,) = map_recomputed(attend, (normed[None], present[None], place[None]), rows=rows)
        return update[0]

    def _attend(self, normed: Tensor, bias: Tensor | None, present: Tensor) -> Tensor:
        mha = self.block.mha
        n, k, _ = normed.shape
        query, key, value = (
            linear(normed).view(n, k, mha.num_heads, -1).transpose(1, 2)
            for linear in (mha.linear_q, mha.linear_k, mha.linear_v)
        )
        logits = (query / math.sqrt(query.shape[-1])) @ key.transpose(-1, -2)
        if bias is not None:
            logits = logits + bias
        real = present[:, None, None]
        weights = torch.softmax(logits.masked_fill(~real, torch.finfo(logits.dtype).min), dim=-1)
        attended = ((weights * real) @ value).transpose(1, 2).flatten(-2)
        update: Tensor = mha.linear_o(attended * torch.sigmoid(mha.linear_g(normed)))
        return update
