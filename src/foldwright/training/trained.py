"""What training changes: weights, their mean, the optimiser, the scale of the loss."""

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from torch import nn

from foldwright.runtime.errors import InputError, Problem
from foldwright.training.checkpoint import Checkpoint
from foldwright.training.ema import WeightAverage
from foldwright.training.optimiser import optimiser_tensors, restore_optimiser
from foldwright.training.step import StepRunner


class Trained:
    """The parts of a run that go into a checkpoint and come back from it."""

    def __init__(self, module: nn.Module, runner: StepRunner, ema_decay: float) -> None:
        self._module = module
        self._optimiser = runner.optimiser
        self._scaler = runner.scaler
        self._average = WeightAverage(module, ema_decay) if ema_decay else None

    @property
    def num_parameters(self) -> int:
        """Number of weights of the module."""
        return sum(parameter.numel() for parameter in self._module.parameters())

    def average(self, step: int) -> None:
        """Take the weights after a step into their mean."""
        if self._average is not None:
            self._average.update(step)

    def averaged(self) -> AbstractContextManager[None]:
        """Let the module have its mean weights within the block, where there are any."""
        return nullcontext() if self._average is None else self._average.in_place()

    def checkpoint(self, state: dict[str, Any]) -> Checkpoint:
        """Return everything as a checkpoint."""
        tensors = {
            "model": self._module.state_dict(),
            "optimiser": optimiser_tensors(self._optimiser, self._module),
        }
        if self._average is not None:
            tensors["ema"] = self._average.tensors()
        return Checkpoint(tensors, {**state, "scaler": self._scaler.state_dict()})

    def restore(self, checkpoint: Checkpoint, path: Path) -> None:
        """Put everything back.

        Raises:
            InputError: the weights are those of another network.
        """
        try:
            self._module.load_state_dict(dict(checkpoint.tensors["model"]))
        except RuntimeError as error:
            raise InputError(Problem(str(path), f"does not fit the network: {error}")) from error
        restore_optimiser(self._optimiser, self._module, checkpoint.tensors["optimiser"])
        if self._scaler.is_enabled() and checkpoint.state["scaler"]:
            self._scaler.load_state_dict(checkpoint.state["scaler"])
        if self._average is not None:
            # A mean that is switched on late begins with the weights of now.
            self._average.restore(checkpoint.tensors.get("ema", checkpoint.tensors["model"]))
