"""Encodings of positions, times and distances, against sums written out."""

import math

import pytest
import torch

from foldwright.nn.embedding import (
    gaussian_basis,
    relative_position_one_hot,
    sinusoidal_encoding,
)
from tests.golden_numbers import assert_close


def by_hand(value: int, period: int, channels: int) -> list[float]:
    row = []
    for k in range(1, channels + 1):
        if k % 2 == 1:
            row.append(math.cos(value * math.pi / period ** (2 * (k - 1) / channels)))
        else:
            row.append(math.sin(value * math.pi / period ** (2 * k / channels)))
    return row


@pytest.mark.parametrize(("period", "channels"), [(256, 8), (11, 7), (1000, 2)])
def test_sinusoidal_encoding_channel_by_channel(period: int, channels: int) -> None:
    values = [0, 1, 5, 255]
    found = sinusoidal_encoding(
        torch.tensor(values), period=period, channels=channels, dtype=torch.float64
    )
    expected = torch.tensor([by_hand(v, period, channels) for v in values], dtype=torch.float64)
    assert_close(found, expected, 1e-12)


def test_encoding_keeps_its_digits_in_float32_and_its_batch() -> None:
    values = torch.tensor([[0, 999], [500, 31]])
    found = sinusoidal_encoding(values, period=1000, channels=6)
    exact = sinusoidal_encoding(values, period=1000, channels=6, dtype=torch.float64)
    assert found.dtype == torch.float32
    assert found.shape == (2, 2, 6)
    assert_close(found, exact, 6e-8)


def test_first_channels_tell_even_from_odd_and_last_do_not_wrap() -> None:
    """The fastest pair has period 2, and the slowest turns by less than pi over the length."""
    encoding = sinusoidal_encoding(torch.arange(64), period=64, channels=16, dtype=torch.float64)
    assert_close(encoding[:, 0], (-1.0) ** torch.arange(64), 1e-12)
    assert len(encoding.round(decimals=9).unique(dim=0)) == 64


def test_relative_position_is_row_minus_column_clipped() -> None:
    one_hot = relative_position_one_hot(6, 2, dtype=torch.float64, device=torch.device("cpu"))
    assert one_hot.shape == (6, 6, 5)
    assert torch.equal(one_hot.sum(-1), torch.ones(6, 6).double())
    for i in range(6):
        for j in range(6):
            assert int(one_hot[i, j].argmax()) == min(max(i - j, -2), 2) + 2


def test_gaussian_basis_peaks_on_its_grid_and_falls_by_one_width() -> None:
    basis = gaussian_basis(torch.tensor([0.0, 5.0, 10.0]).double(), maximum=10.0, count=5)
    assert_close(basis[1], torch.exp(-0.5 * torch.tensor([4.0, 1, 0, 1, 4])), 1e-7)
    assert_close(basis.argmax(-1), torch.tensor([0, 2, 4]), 0)


def test_far_distances_vanish_and_gradients_stay_finite() -> None:
    distance = torch.tensor([0.0, 1e-5, 300.0], dtype=torch.float64, requires_grad=True)
    basis = gaussian_basis(distance, maximum=30.0, count=24)
    assert float(basis[2].detach().max()) < 1e-12
    basis.sum().backward()
    assert torch.isfinite(distance.grad).all()
