"""Bottleneck and depthwise blocks against plain sums, with masks."""

import pytest
import torch

from foldwright.nn.bottleneck_transition import BottleneckTransition
from foldwright.nn.depthwise_transition import DepthwiseTransition
from tests.nn.random_blocks import lengths_mask, normal, pair_mask, with_random_weights


def test_bottleneck_is_its_formula_and_small() -> None:
    block, x = with_random_weights(BottleneckTransition(128)), normal(2, 5, 128)
    h = torch.nn.functional.layer_norm(x, (128,), block.layer_norm.weight, block.layer_norm.bias)
    for linear in (block.linear_1, block.linear_2):
        h = torch.relu(h @ linear.weight.T + linear.bias)
    torch.testing.assert_close(block(x), h @ block.linear_3.weight.T + block.linear_3.bias)
    assert sum(p.numel() for p in block.parameters()) == 256 + 4128 + 1056 + 4224
    assert not BottleneckTransition(8)(x[..., :8].float()).any(), "a fresh one adds nothing"


def test_bottleneck_masks() -> None:
    block, mask = with_random_weights(BottleneckTransition(8)), lengths_mask([3, 5], 5)
    update = block(normal(2, 5, 8), mask)
    assert not update[~mask].any()
    torch.testing.assert_close(update[mask], block(normal(2, 5, 8))[mask])


def test_depthwise_on_pairs_is_a_sum_over_nine_places_of_each_channel() -> None:
    block, mask = with_random_weights(DepthwiseTransition(3, axes=2)), pair_mask([5, 4], 6)
    x = normal(2, 6, 6, 3)
    normed = block.layer_norm(x) * mask[..., None]
    wide = torch.nn.functional.pad(normed, (0, 0, 1, 1, 1, 1))
    total = block.depthwise.bias.expand(2, 6, 6, 3).clone()
    for i in range(3):
        for j in range(3):
            total = total + wide[:, i : i + 6, j : j + 6] * block.depthwise.weight[:, 0, i, j]
    expected = block.linear(torch.relu(total)) * mask[..., None]
    torch.testing.assert_close(block(x, mask), expected)


def test_convolved_factors_are_the_convolved_product() -> None:
    """Kernels along i on the left and along j on the right are one kernel on the pairs."""
    left, right = normal(1, 7, 2, 3), normal(1, 7, 2, 3, seed=2)
    kernels = normal(2, 3, 1, 3, seed=3)

    def along(factor: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
        chains = factor[0].permute(1, 2, 0)
        out = torch.nn.functional.conv1d(chains, kernel, padding=1, groups=3)
        return out.permute(2, 0, 1)[None]

    product = torch.einsum("birc,bjrc->bcij", left, right)
    grid = kernels[0, :, :, :, None] * kernels[1, :, :, None, :]
    expected = torch.nn.functional.conv2d(product, grid, padding=1, groups=3)
    found = torch.einsum("birc,bjrc->bcij", along(left, kernels[0]), along(right, kernels[1]))
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("axes", [1, 2])
def test_depthwise_does_not_see_padding(axes: int) -> None:
    block = with_random_weights(DepthwiseTransition(4, axes=axes))
    mask = lengths_mask([4], 6) if axes == 1 else pair_mask([4], 6)
    x = normal(1, *[6] * axes, 4)
    other = torch.where(mask[..., None], x, 100 * normal(*x.shape, seed=5))
    assert torch.equal(block(x, mask), block(other, mask))
    assert not block(x, mask)[~mask].any()
