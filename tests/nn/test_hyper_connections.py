"""Streams: one of them is the plain residual, any number keeps the mean."""

import pytest
import torch
from torch import Tensor, nn

from foldwright.nn.hyper_connections import (
    HyperConnection,
    StreamMaps,
    contract_streams,
    expand_streams,
    read_streams,
    stream_terms,
    write_streams,
)
from foldwright.nn.linear import Linear
from tests.nn.random_blocks import normal, with_random_weights


def step(layer: nn.Module, connection: HyperConnection, streams: Tensor) -> Tensor:
    maps = connection(streams)
    h = read_streams(streams, maps)
    return write_streams(streams, layer(h), maps)


def branch(channels: int = 6, seed: int = 0) -> nn.Module:
    return with_random_weights(nn.Sequential(Linear(channels, channels), nn.Tanh()), seed)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_one_stream_with_identity_maps_is_the_plain_residual_to_the_bit(dtype) -> None:
    x = normal(3, 7, 6).to(dtype)
    one = torch.ones(3, 7, 1, dtype=dtype)
    maps = StreamMaps(pre=one, post=one, residual=one[..., None])
    update = branch().to(dtype)
    streams = expand_streams(x, 1)
    found = contract_streams(write_streams(streams, update(read_streams(streams, maps)), maps))
    assert torch.equal(found, x + update(x))


@pytest.mark.parametrize("m", [2, 3, 4, 8])
def test_a_fresh_stack_computes_what_it_does_without_streams(m: int) -> None:
    """Also where residual maps mix and streams have parted; fresh maps are float32 numbers."""
    x, plain = normal(2, 5, 6), normal(2, 5, 6)
    streams = expand_streams(x, m)
    for depth in range(20):
        layer, connection = branch(seed=depth), HyperConnection(6, m).double()
        connection.residual.data = normal(m, m, seed=depth)
        streams, plain = step(layer, connection, streams), plain + layer(plain)
    torch.testing.assert_close(contract_streams(streams), plain, atol=5e-6, rtol=0)
    assert (streams[..., 0, :] - streams[..., -1, :]).abs().max() > 0.1


def test_mixing_keeps_the_mean_and_never_enlarges_the_streams() -> None:
    """Doubly stochastic maps have spectral norm one: no growth, however deep."""
    streams = normal(3, 4, 6)
    first, mean = streams.norm(), contract_streams(streams)
    nothing = torch.zeros(3, 6, dtype=torch.float64)
    sizes = []
    for depth in range(50):
        connection = with_random_weights(HyperConnection(6, 4), depth)
        streams = write_streams(streams, nothing, connection(streams))
        sizes.append(float(streams.detach().norm()))
    torch.testing.assert_close(contract_streams(streams), mean, atol=1e-12, rtol=0)
    assert all(size <= float(first) * (1 + 1e-12) for size in sizes)
    assert sizes[-1] < sizes[0]


def test_maps_lie_in_their_ranges_and_depend_on_the_place() -> None:
    connection = with_random_weights(HyperConnection(6, 4))
    maps = connection(10 * normal(5, 9, 4, 6))
    assert ((maps.pre > 0) & (maps.pre < 1)).all()
    assert ((maps.post > 0) & (maps.post < 2)).all()
    one = torch.ones((), dtype=torch.float64)
    for sums in (maps.residual.sum(-1), maps.residual.sum(-2)):
        torch.testing.assert_close(sums, one.expand_as(sums))
    for values in (maps.pre, maps.post, maps.residual):
        assert values.flatten(0, 1).std(0).max() > 1e-3


def test_maps_do_not_change_with_the_size_of_the_streams() -> None:
    connection, streams = with_random_weights(HyperConnection(6, 3)), normal(4, 3, 6)
    small, large = connection(streams), connection(1000 * streams)
    torch.testing.assert_close(small.pre, large.pre, atol=1e-6, rtol=0)
    torch.testing.assert_close(small.residual, large.residual, atol=1e-6, rtol=0)


def test_gradients() -> None:
    layer, connection = branch(), with_random_weights(HyperConnection(6, 3))
    streams = normal(2, 3, 6).requires_grad_()
    parameters = list(connection.parameters())

    def run(streams: Tensor, *_: Tensor) -> Tensor:
        return step(layer, connection, streams)

    assert torch.autograd.gradcheck(run, (streams, *parameters))


def test_streams_part_in_training() -> None:
    """From a fresh start: equal shares for all streams would keep them equal for ever."""
    torch.manual_seed(0)
    layer, connection = branch(), HyperConnection(6, 4).double()
    second = HyperConnection(6, 4).double()
    streams = step(layer, second, step(layer, connection, expand_streams(normal(8, 6), 4)))
    contract_streams(streams).square().sum().backward()
    weights = second.linear.weight.grad.unflatten(0, (6, 4))
    assert (weights[0, 0] - weights[0, 3]).abs().max() > 1e-6


def test_a_place_of_zeros_has_finite_maps_and_gradients() -> None:
    connection = with_random_weights(HyperConnection(6, 4))
    streams = torch.zeros(2, 4, 6, dtype=torch.float64, requires_grad=True)
    maps = connection(streams)
    (maps.pre.sum() + maps.post.sum() + maps.residual.square().sum()).backward()
    assert torch.isfinite(streams.grad).all()


def test_one_stream_needs_no_connection() -> None:
    with pytest.raises(ValueError, match="num_streams must be at least 2: got 1"):
        HyperConnection(6, 1)


def test_terms_of_a_layer_worked_out_by_hand() -> None:
    """|h|^2 = 4 and |update|^2 = 12 make a share of 3/4; streams of norm 2 become 3."""
    h = torch.zeros(1, 3, 4)
    h[0, 0, 0] = 2
    h[0, 2] = 50  # padding
    update = 12**0.5 * torch.eye(4)[1].expand(1, 3, 4) * torch.tensor([[[1.0], [0], [9]]])
    streams, written = torch.zeros(2, 1, 3, 2, 4)
    streams[0, 1, 0, 0], written[0, 0, 1, 3] = 2, 3
    real = torch.tensor([[True, True, False]])
    found = stream_terms(streams, h, update, written, real)[0]
    expected = torch.tensor([(0.75 - 0.5) ** 2, (0.5 - 0.2) ** 2, 4 / 8])
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)


def test_terms_of_padding_alone_are_finite() -> None:
    zeros = torch.zeros(2, 3, 4, requires_grad=True)
    streams = expand_streams(zeros, 2)
    real = torch.zeros(2, 3, dtype=torch.bool)
    stream_terms(streams, zeros, zeros, streams, real).sum().backward()
    assert torch.isfinite(zeros.grad).all()
