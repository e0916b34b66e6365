"""Position-wise blocks."""

import torch

from foldwright.nn import row_chunks
from foldwright.nn.transition import PairTransition, StructureTransition
from tests.golden_numbers import assert_close
from tests.nn.random_blocks import normal, pair_mask, with_random_weights

MASK = pair_mask([5, 3], 5)


def pair_block(dtype: torch.dtype = torch.float64) -> PairTransition:
    return with_random_weights(PairTransition(6, 3), 0, dtype)


@torch.no_grad()
def test_each_pair_is_two_layers_of_itself_and_padding_is_zero(monkeypatch) -> None:
    monkeypatch.setattr(row_chunks, "_CHUNKED_FROM_BYTES", 0)
    block, z = pair_block(), normal(2, 5, 5, 6)
    x = z[0, 1, 2]
    x = (x - x.mean()) / torch.sqrt(x.var(unbiased=False) + 1e-5)
    x = x * block.layer_norm.weight + block.layer_norm.bias
    hidden = torch.relu(block.linear_1.weight @ x + block.linear_1.bias)
    expected = block.linear_2.weight @ hidden + block.linear_2.bias
    update = block(z, MASK)
    assert_close(update[0, 1, 2], expected, 1e-12)
    assert_close(block.residual(z, MASK), (z + update) * MASK[..., None], 1e-12)
    assert not update[~MASK].any()
    assert hidden.shape == (18,)
    assert update[MASK].abs().max() > 0.1


@torch.no_grad()
def test_low_precision_stays_near_float32() -> None:
    block, z = pair_block(torch.float32), normal(2, 5, 5, 6, dtype=torch.float32)
    exact = block(z, MASK)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = block(z, MASK).float()
    assert_close(found, exact, 0.03 * float(exact.abs().max()))


@torch.no_grad()
def test_fresh_blocks_change_nothing_but_the_scale() -> None:
    """Both end at zero weights: no update, and the layer norm of the input."""
    z, s = normal(1, 3, 3, 6, dtype=torch.float32), normal(2, 4, 8, dtype=torch.float32)
    everything = torch.ones(1, 3, 3, dtype=torch.bool)
    assert not PairTransition(6, 2)(z, everything).any()
    block = StructureTransition(8, num_layers=3, dropout=0.1).eval()
    expected = torch.nn.functional.layer_norm(s, (8,))
    assert_close(block(s), expected, 1e-6)


@torch.no_grad()
def test_structure_transition_adds_each_block_to_its_input() -> None:
    block = with_random_weights(StructureTransition(8, num_layers=2, dropout=0.5))
    s = normal(2, 4, 8)
    x = s[1, 2]
    for layer in block.layers:
        hidden = torch.relu(layer.linear_1.weight @ x + layer.linear_1.bias)
        hidden = torch.relu(layer.linear_2.weight @ hidden + layer.linear_2.bias)
        x = x + layer.linear_3.weight @ hidden + layer.linear_3.bias
    x = (x - x.mean()) / torch.sqrt(x.var(unbiased=False) + 1e-5)
    assert_close(block(s)[1, 2], x * block.layer_norm.weight + block.layer_norm.bias, 1e-11)


def test_dropout_acts_while_training_only() -> None:
    block = StructureTransition(16, num_layers=1, dropout=0.5)
    s = normal(1, 6, 16, dtype=torch.float32)
    torch.manual_seed(0)
    assert not torch.equal(block(s), block(s))
    block.eval()
    assert torch.equal(block(s), block(s))
