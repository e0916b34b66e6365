"""Axial attention is triangle attention whose third edge says nothing."""

import pytest
import torch

from foldwright.nn.axial_attention import AxialAttention
from foldwright.nn.triangle import TriangleAttention
from tests.nn.random_blocks import normal, pair_mask, with_random_weights


@pytest.mark.parametrize("node", ["starting", "ending"])
def test_equals_triangle_attention_without_bias(node: str) -> None:
    triangle = with_random_weights(TriangleAttention(6, 3, num_heads=2, node=node))
    axial = AxialAttention(6, 3, num_heads=2, node=node).double()
    axial.load_state_dict({k: v for k, v in triangle.state_dict().items() if k != "linear.weight"})
    z, mask = normal(2, 7, 7, 6), pair_mask([7, 5], 7)
    assert not torch.allclose(axial(z, mask), triangle(z, mask))
    triangle.linear.weight.data.zero_()
    torch.testing.assert_close(axial(z, mask), triangle(z, mask))
