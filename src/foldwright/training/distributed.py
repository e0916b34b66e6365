"""Several processes that train one model, each on its share of the batches."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import nn

from foldwright.runtime.device import select_device

ValueT = TypeVar("ValueT")


@dataclass(frozen=True)
class Ranks:
    """This process among all processes of the run, and its device."""

    rank: int
    num_ranks: int
    device: torch.device

    @property
    def is_first(self) -> bool:
        """Whether this process writes the files."""
        return self.rank == 0

    def gather(self, value: ValueT) -> list[ValueT]:
        """Return the values of all processes, in the same order everywhere."""
        if self.num_ranks == 1:
            return [value]
        values: list[ValueT] = [value] * self.num_ranks
        dist.all_gather_object(values, value)
        return values

    def sum_gradients(self, module: nn.Module) -> None:
        """Add the gradients of all processes; a process without one adds zeros."""
        if self.num_ranks == 1:
            return
        parameters = [p for p in module.parameters() if p.requires_grad]
        for parameter in parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        gradients = [p.grad for p in parameters if p.grad is not None]
        flat = torch.cat([gradient.flatten() for gradient in gradients])  # one message, not many
        dist.all_reduce(flat)
        sizes = [gradient.numel() for gradient in gradients]
        for gradient, part in zip(gradients, flat.split(sizes), strict=True):
            gradient.copy_(part.view_as(gradient))

    def share_weights(self, module: nn.Module) -> None:
        """Give every process the weights and buffers of the first."""
        if self.num_ranks > 1:
            for tensor in module.state_dict().values():
                dist.broadcast(tensor, src=0)


@contextmanager
def join_ranks(device: str) -> Iterator[Ranks]:
    """Join the processes that `torchrun` started, or be the only one.

    Each process of a machine takes its own CUDA device; `cpu` uses gloo. The environment that
    `torchrun` sets (`WORLD_SIZE`, `RANK`, `LOCAL_RANK`) is read here.
    """
    num_ranks = int(os.environ.get("WORLD_SIZE", "1"))
    if num_ranks == 1:
        yield Ranks(0, 1, select_device(device))
        return
    chosen = select_device(device)
    if chosen.type == "cuda":
        chosen = select_device(f"cuda:{os.environ['LOCAL_RANK']}")
        torch.cuda.set_device(chosen)
    dist.init_process_group("cpu:gloo,cuda:nccl" if chosen.type == "cuda" else "gloo")
    try:
        yield Ranks(dist.get_rank(), num_ranks, chosen)
    finally:
        dist.destroy_process_group()
