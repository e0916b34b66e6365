import pytest
import torch
from torch import nn

from foldwright.training.diagnosis import find_non_finite
from tests.training.toy_tasks import PointLoss


class Logarithm(nn.Module):
    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"log": x.log()}


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(2, 2), Logarithm()
        nn.init.eye_(self.first.weight)
        nn.init.zeros_(self.first.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(self.first(x))["log"]


def find(net: Net, x: list[float], power: float = 1.0) -> str:
    def compute() -> PointLoss:
        loss = net(torch.tensor([x])).sum()
        return PointLoss(loss, {"inverse": loss**-power})

    return find_non_finite(net, compute)


def test_the_layer_that_goes_bad_first_is_named() -> None:
    assert find(Net(), [1.0, 0.0]).startswith("output of second[log] has 1 non-finite value")


def test_bad_input_is_told_from_bad_layers() -> None:
    assert find(Net(), [1.0, torch.nan]).startswith("input of the network has 1")


def test_a_bad_weight_comes_before_everything() -> None:
    net = Net()
    net.first.bias.data[1] = torch.inf
    assert find(net, [1.0, torch.nan]).startswith("weight first.bias has 1")


def test_a_bad_term_of_the_loss_is_named() -> None:
    assert find(Net(), [1.0, 1.0]).startswith("loss term inverse has 1")


def test_a_bad_gradient_is_named_when_the_loss_is_fine() -> None:
    net = Net()

    def compute() -> PointLoss:
        return PointLoss((net(torch.ones(1, 2)).sum()).sqrt(), {})

    assert find_non_finite(net, compute).startswith("gradient of first.weight has 4")


@pytest.mark.parametrize("broken", [True, False])
def test_hooks_are_gone_afterwards(broken: bool) -> None:
    net = Net()
    find(net, [1.0, 0.0 if broken else 2.0])
    assert all(not m._forward_hooks and not m._forward_pre_hooks for m in net.modules())
