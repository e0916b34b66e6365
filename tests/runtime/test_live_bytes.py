"""Bytes of live tensors, against sums worked out by hand."""

import torch

from foldwright.runtime.live_bytes import KeptBytes, LiveBytes


def test_what_is_made_and_dropped_counts_once() -> None:
    before = torch.ones(1000)
    with LiveBytes() as live:
        a = torch.zeros(1000)
        b = a + before
        assert live.now() == 8000
        view = b.view(10, 100)[3:]
        before.mul_(2)
        assert live.now() == 8000
        del b
        assert live.now() == 8000, "the view keeps it"
        del view
        assert live.now() == 4000
        del a
    assert live.now() == 0
    assert live.peak == 8000


def test_backward_passes_count() -> None:
    x = torch.ones(1000, requires_grad=True)
    with LiveBytes() as live:
        y = (x.exp() * 2).sum()
        assert live.now() == 4000 + 4, "exp keeps its result"
        y.backward()
        assert live.now() >= 4000, "the gradient"
    assert 8000 <= live.peak <= 16100


def test_kept_for_the_backward_pass() -> None:
    weight = torch.nn.Parameter(torch.ones(100, 100))
    x = torch.ones(10, 100, requires_grad=True)
    with KeptBytes() as kept:
        (x @ weight).sigmoid()
    assert kept.bytes == 2 * 4000, "the input and the result; the parameter is there anyway"
