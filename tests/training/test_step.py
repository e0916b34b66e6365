"""One step: the gradient, however it is cut into batches, and what happens to bad numbers."""

import pytest
import torch

from foldwright.training.config import FitConfig
from foldwright.training.distributed import Ranks
from foldwright.training.precision import choose_precision
from foldwright.training.step import NonFiniteError, StepOutcome, StepRunner
from foldwright.training.stream import Position, StepPlan
from tests.training.toy_tasks import BrokenTask, DropoutTask, LineTask, PointBatches

ALONE = Ranks(0, 1, torch.device("cpu"))


def one_step(task: LineTask, sizes: list[int], **changes: object) -> StepOutcome:
    """Take one step on the first samples, cut into batches of these sizes."""
    config = FitConfig.model_validate({"max_steps": 9, "gradient_clip": None, **changes})
    policy = choose_precision(config.precision, ALONE.device)
    parts = torch.arange(sum(sizes)).split(sizes)
    everything = PointBatches(task.points, torch.arange(len(task.points.names)), 1)
    batches = [everything.select(part) for part in parts]
    indices = tuple(range(len(sizes)))
    plan = StepPlan(0, indices, indices, Position(0, len(sizes)))
    return StepRunner(task, config, ALONE, policy).run(1, plan, batches)


def gradients(task: LineTask) -> torch.Tensor:
    return torch.cat([parameter.grad.flatten() for parameter in task.module.parameters()])


def test_gradient_is_that_of_the_mean_square_error() -> None:
    task = LineTask()
    outcome = one_step(task, [5])
    x, y = task.points.x[:5], task.points.y[:5]
    expected = torch.cat([(-2 * y * x).mean(0), (-2 * y).mean(0)])
    torch.testing.assert_close(gradients(task), expected)
    assert outcome.losses["loss"] == pytest.approx(y.square().mean().item())
    assert outcome.losses["absolute"] == pytest.approx(y.abs().mean().item())
    assert outcome.gradient_norm == pytest.approx(expected.norm().item())
    assert (outcome.samples, outcome.applied) == (5, True)


def test_a_step_of_several_uneven_batches_equals_one_of_their_union() -> None:
    whole, cut = LineTask(), LineTask()
    together, apart = one_step(whole, [8]), one_step(cut, [4, 1, 3])
    torch.testing.assert_close(gradients(cut), gradients(whole))
    assert apart.losses["loss"] == pytest.approx(together.losses["loss"])
    assert apart.samples == together.samples == 8


def test_the_gradient_is_cut_to_the_largest_norm() -> None:
    free, cut = LineTask(), LineTask()
    norm = one_step(free, [8]).gradient_norm
    outcome = one_step(cut, [8], gradient_clip=norm / 4)
    torch.testing.assert_close(gradients(cut), gradients(free) / 4, rtol=1e-4, atol=0)
    assert outcome.gradient_norm == pytest.approx(norm), "the norm reported is that before the cut"


def test_random_numbers_belong_to_the_step_and_the_slot() -> None:
    torch.manual_seed(1)
    first = one_step(DropoutTask(), [4, 4]).losses
    torch.manual_seed(2)
    assert one_step(DropoutTask(), [4, 4]).losses == first
    assert one_step(DropoutTask(), [4, 4], seed=1).losses != first


def test_only_matrices_are_decayed() -> None:
    task = LineTask()
    torch.nn.init.ones_(task.module.weight)
    torch.nn.init.ones_(task.module.bias)
    task.points.y.copy_(task.module(task.points.x).detach())
    one_step(task, [4], optimiser={"learning_rate": 0.1, "weight_decay": 0.5})
    torch.testing.assert_close(task.module.weight, torch.full((1, 3), 0.95))
    torch.testing.assert_close(task.module.bias, torch.ones(1))


def test_a_bad_sample_is_named_and_nothing_is_updated() -> None:
    task = BrokenTask(bad_sample=6)
    before = task.module.weight.detach().clone()
    with pytest.raises(NonFiniteError, match=r"epoch 0, batch 1 \(sample4, .*sample7\): input of"):
        one_step(task, [4, 4])
    assert torch.equal(task.module.weight, before)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_gradients_are_close_to_full_ones(precision: str) -> None:
    full, half = LineTask(), LineTask()
    for task in (full, half):
        task.points.y.mul_(0.01)  # the first scale of the loss, 65536, must fit float16
    one_step(full, [8])
    outcome = one_step(half, [8], precision=precision)
    assert outcome.applied
    torch.testing.assert_close(gradients(half), gradients(full), rtol=2e-2, atol=2e-4)
    assert half.module.weight.dtype == torch.float32


def test_an_overflow_of_the_scaled_loss_leaves_the_step_out() -> None:
    task = LineTask()
    task.points.y.mul_(3e3)
    before = task.module.weight.detach().clone()
    outcome = one_step(task, [8], precision="fp16")
    assert not outcome.applied
    assert torch.equal(task.module.weight, before)
