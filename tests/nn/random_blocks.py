"""Blocks with weights that are nowhere zero, and inputs for them."""

from typing import TypeVar

import torch
from torch import Tensor, nn

Block = TypeVar("Block", bound=nn.Module)


def with_random_weights(block: Block, seed: int = 0, dtype: torch.dtype = torch.float64) -> Block:
    """Fill every parameter: blocks start at zero where they end, which would hide their work."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in block.parameters():
        values = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
        width = parameter.shape[-1] if parameter.dim() > 1 else 4
        parameter.data = (values / width**0.5).to(dtype)
    return block.eval()


def normal(*shape: int, seed: int = 1, dtype: torch.dtype = torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)


def lengths_mask(lengths: list[int], width: int) -> Tensor:
    return torch.arange(width) < torch.tensor(lengths)[:, None]


def pair_mask(lengths: list[int], width: int) -> Tensor:
    mask = lengths_mask(lengths, width)
    return mask[:, :, None] & mask[:, None]
