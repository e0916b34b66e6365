"""Triangle updates against loops over every triangle, and their symmetries."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from foldwright.nn import row_chunks
from foldwright.nn.triangle import TriangleAttention, TriangleMultiplication
from tests.golden_numbers import assert_close
from tests.nn.random_blocks import normal, pair_mask, with_random_weights

N, C, HIDDEN = 7, 5, 6
LENGTHS = [7, 4]
MASK = pair_mask(LENGTHS, N)


def multiplication(direction: str, dtype: torch.dtype = torch.float64) -> TriangleMultiplication:
    return with_random_weights(TriangleMultiplication(C, HIDDEN, direction=direction), 0, dtype)


def attention(node: str, dtype: torch.dtype = torch.float64) -> TriangleAttention:
    return with_random_weights(TriangleAttention(C, 3, num_heads=2, node=node), 0, dtype)


def blocks(dtype: torch.dtype = torch.float64) -> list[torch.nn.Module]:
    return [
        multiplication("outgoing", dtype),
        multiplication("incoming", dtype),
        attention("starting", dtype),
        attention("ending", dtype),
    ]


def norm(layer: torch.nn.LayerNorm, x: Tensor) -> Tensor:
    centred = x - x.mean(-1, keepdim=True)
    variance = centred.square().mean(-1, keepdim=True)
    return centred / torch.sqrt(variance + 1e-5) * layer.weight + layer.bias


@torch.no_grad()
def loop_multiplication(block: TriangleMultiplication, z: Tensor, mask: Tensor) -> Tensor:
    """One sum per pair (i, j) over every third residue k that is real."""
    z = norm(block.layer_norm_in, z)
    a = block.linear_a_p(z) * torch.sigmoid(block.linear_a_g(z))
    b = block.linear_b_p(z) * torch.sigmoid(block.linear_b_g(z))
    update = torch.zeros_like(z)
    num_batch, n = z.shape[:2]
    for row in range(num_batch):
        for i in range(n):
            for j in range(n):
                total = torch.zeros(HIDDEN, dtype=z.dtype)
                for k in range(n):
                    left, right = ((i, k), (j, k))
                    if block.direction == "incoming":
                        left, right = ((k, i), (k, j))
                    if mask[row][left] and mask[row][right]:
                        total += a[row][left] * b[row][right]
                gate = torch.sigmoid(block.linear_g(z[row, i, j]))
                update[row, i, j] = block.linear_z(norm(block.layer_norm_out, total)) * gate
    return update


@torch.no_grad()
def loop_attention(block: TriangleAttention, z: Tensor, mask: Tensor) -> Tensor:
    """Starting node, one softmax per row, pair and head; the ending node is its transpose."""
    if block.node == "ending":
        z, mask = z.transpose(1, 2), mask.transpose(1, 2)
    z = norm(block.layer_norm, z)
    mha, update = block.mha, torch.zeros_like(z)
    for row in range(z.shape[0]):
        bias = functional.linear(z[row], block.linear.weight)
        for i in range(z.shape[1]):
            keys = mask[row, i]
            if not keys.any():
                continue
            q, k, v = (layer(z[row, i]).view(-1, 2, 3) for layer in _projections(mha))
            for j in range(z.shape[1]):
                heads = []
                for h in range(2):
                    logits = k[:, h] @ q[j, h] / math.sqrt(3) + bias[j, :, h]
                    weights = torch.softmax(logits[keys], dim=0)
                    heads.append(weights @ v[keys, h])
                gate = torch.sigmoid(mha.linear_g(z[row, i, j]))
                update[row, i, j] = mha.linear_o(torch.cat(heads) * gate)
    return update.transpose(1, 2) if block.node == "ending" else update


def _projections(mha: torch.nn.Module) -> tuple[torch.nn.Module, ...]:
    return mha.linear_q, mha.linear_k, mha.linear_v


@pytest.mark.parametrize("direction", ["outgoing", "incoming"])
@torch.no_grad()
def test_multiplication_is_a_sum_over_triangles(direction: str, monkeypatch) -> None:
    monkeypatch.setattr(row_chunks, "_CHUNKED_FROM_BYTES", 0)
    block, z = multiplication(direction), normal(2, N, N, C)
    expected = loop_multiplication(block, z, MASK)
    assert_close(block(z, MASK), expected, 1e-10, MASK)
    assert_close(block.residual(z, MASK), z + expected, 1e-10, MASK)


@pytest.mark.parametrize("node", ["starting", "ending"])
@torch.no_grad()
def test_attention_is_a_softmax_over_each_row(node: str) -> None:
    block, z = attention(node), normal(2, N, N, C)
    assert_close(block(z, MASK), loop_attention(block, z, MASK), 1e-10, MASK)


@torch.no_grad()
def test_incoming_is_outgoing_on_transposed_pairs() -> None:
    """With z equal to its transpose, sum_k a_ki b_kj and sum_k a_ik b_jk are one number."""
    outgoing, incoming = multiplication("outgoing"), multiplication("incoming")
    z = normal(2, N, N, C)
    symmetric = z + z.transpose(1, 2)
    assert_close(outgoing(symmetric, MASK), incoming(symmetric, MASK), 1e-10)
    assert (outgoing(z, MASK) - incoming(z, MASK)).abs().max() > 0.1


@torch.no_grad()
def test_ending_node_is_the_transposed_starting_node() -> None:
    z = normal(2, N, N, C)
    starting = attention("starting")(z.transpose(1, 2), MASK).transpose(1, 2)
    assert_close(attention("ending")(z, MASK), starting, 1e-12)


@pytest.mark.parametrize("which", range(4))
@torch.no_grad()
def test_order_of_residues_does_not_matter(which: int) -> None:
    block, z = blocks()[which], normal(2, N, N, C)
    order = torch.randperm(N, generator=torch.Generator().manual_seed(0))

    def shuffle(x: Tensor) -> Tensor:
        return x[:, order][:, :, order]

    assert_close(block(shuffle(z), shuffle(MASK)), shuffle(block(z, MASK)), 1e-11)


@pytest.mark.parametrize("which", range(4))
@torch.no_grad()
def test_padding_and_company_change_nothing(which: int) -> None:
    block, z = blocks()[which], normal(2, N, N, C)
    other = torch.where(MASK[..., None], z, 50 * normal(2, N, N, C, seed=2))
    assert_close(block(other, MASK), block(z, MASK), 1e-11, MASK)
    short = LENGTHS[1]
    alone = block(z[1:, :short, :short], MASK[1:, :short, :short])
    assert_close(block(z, MASK)[1:, :short, :short], alone, 1e-11)


@pytest.mark.parametrize("which", range(4))
def test_chain_of_padding_alone_is_finite(which: int) -> None:
    z = normal(1, 4, 4, C).requires_grad_()
    update = blocks()[which](z, torch.zeros(1, 4, 4, dtype=torch.bool))
    update.sum().backward()
    assert torch.isfinite(update).all()
    assert torch.isfinite(z.grad).all()


@pytest.mark.parametrize("which", range(4))
@torch.no_grad()
def test_low_precision_stays_near_float32(which: int) -> None:
    block, z = blocks(torch.float32)[which], normal(2, N, N, C, dtype=torch.float32)
    exact = block(z, MASK)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = block(z, MASK).float()
    assert_close(found, exact, 0.05 * float(exact.abs().max()), MASK)
