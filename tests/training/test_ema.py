import pytest
import torch
from torch import nn

from foldwright.training.ema import WeightAverage, decay_at


def test_decay_warms_up_to_its_value() -> None:
    assert decay_at(0.999, 1) == pytest.approx(2 / 11)
    assert decay_at(0.999, 90) == pytest.approx(0.91)
    assert decay_at(0.999, 10**6) == 0.999


def test_mean_is_the_weighted_sum_of_all_weights() -> None:
    module = nn.Linear(2, 1, bias=False)
    nn.init.constant_(module.weight, 1.0)
    average = WeightAverage(module, decay=0.5)
    expected = 1.0
    for step, value in enumerate((3.0, -2.0, 7.0), start=1):
        nn.init.constant_(module.weight, value)
        average.update(step)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * value
    torch.testing.assert_close(average.tensors()["weight"], torch.full((1, 2), expected))


def test_module_has_the_mean_within_the_block_only() -> None:
    module = nn.BatchNorm1d(2)
    average = WeightAverage(module, decay=0.5)
    nn.init.constant_(module.weight, 5.0)
    seen = []

    def interrupted() -> None:
        with average.in_place():
            seen.append(module.weight.detach().clone())
            raise KeyError

    with pytest.raises(KeyError):
        interrupted()
    assert torch.equal(seen[0], torch.ones(2))
    assert torch.equal(module.weight, torch.full((2,), 5.0))


def test_means_come_with_the_buffers_of_the_module() -> None:
    module = nn.BatchNorm1d(2)
    average = WeightAverage(module, decay=0.5)
    module(torch.randn(8, 2))
    tensors = average.tensors()
    assert tensors.keys() == module.state_dict().keys()
    assert torch.equal(tensors["running_mean"], module.running_mean)
