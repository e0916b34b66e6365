"""Attention over residues: padding never matters, empty rows are zero, positions are relative."""

import pytest
import torch

from foldwright.models.peptide.attention import (
    EndDistances,
    PeptideAttention,
    PeptideBlock,
    StructureAttention,
    masked_attention,
)

generator = torch.Generator().manual_seed(0)


def block_with_random_weights(block: torch.nn.Module) -> torch.nn.Module:
    with torch.random.fork_rng([]):
        torch.manual_seed(1)
        for parameter in block.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
    return block


def real(length: int, width: int) -> torch.Tensor:
    return torch.arange(width)[None] < length


def test_masked_attention_is_the_softmax_over_real_positions() -> None:
    query, key, value = torch.randn(3, 1, 2, 4, 8, generator=generator)
    mask = real(3, 4)
    weight = (query @ key.transpose(-1, -2) / 8**0.5)[..., :3].softmax(-1)
    found = masked_attention(query, key, value, mask)
    assert torch.allclose(found, weight @ value[..., :3, :], atol=1e-6)


@pytest.mark.parametrize("width", [6, 9])
def test_what_stands_on_padding_does_not_matter(width) -> None:
    block = block_with_random_weights(PeptideBlock(8, num_heads=2, expansion=2))
    s = torch.randn(1, 6, 8, generator=generator)
    padded = torch.full((1, width, 8), 1e3)
    padded[:, :6] = s
    alone = block(s[:, :5], real(5, 5))
    assert torch.allclose(block(padded, real(5, width))[:, :5], alone, atol=1e-5)


def test_rows_without_residues_give_zeros_and_finite_gradients() -> None:
    attention = block_with_random_weights(PeptideAttention(8, 2))
    s = torch.randn(2, 3, 8, generator=generator, requires_grad=True)
    mask = torch.tensor([[True, True, False], [False, False, False]])
    out = attention(s, mask)
    assert torch.equal(out[1], torch.zeros(3, 8))
    assert torch.equal(out[0, 2], torch.zeros(8))
    out.square().sum().backward()
    assert torch.isfinite(s.grad).all()
    assert float(s.grad[0].abs().max()) > 0
    assert torch.equal(s.grad[1], torch.zeros(3, 8))


def test_attention_sees_offsets_and_not_places() -> None:
    attention = block_with_random_weights(PeptideAttention(8, 2))
    s = torch.randn(1, 5, 8, generator=generator)
    shifted = torch.cat([torch.zeros(1, 3, 8), s], dim=1)
    mask = torch.arange(8)[None] >= 3
    moved = attention(shifted, mask)[:, 3:]
    still = attention(s, real(5, 5))
    assert torch.allclose(moved, still, atol=1e-5)
    # turning the order round changes offsets, hence the result
    assert not torch.allclose(attention(s.flip(1), real(5, 5)).flip(1), still, atol=1e-3)


def test_end_distances_count_from_both_ends() -> None:
    places = EndDistances(8, 4)
    found = places(real(3, 5))
    wanted = places.from_start.weight[:3] + places.from_end.weight[[2, 1, 0]]
    assert torch.allclose(found[0, :3], wanted)


def test_peptides_without_a_structure_get_exactly_zero() -> None:
    attention = block_with_random_weights(StructureAttention(8, 2))
    s, features = torch.randn(2, 2, 4, 8, generator=generator)
    mask = torch.tensor([[True, True, True, False], [False] * 4])
    out = attention(s, features, mask)
    assert torch.equal(out[1], torch.zeros(4, 8))
    assert bool((out[0] != 0).all())
    other = features.clone()
    other[0, 3] = 7.0
    assert torch.equal(attention(s, other, mask), out)
