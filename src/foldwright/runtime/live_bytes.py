"""Bytes of the tensors that are alive, counted exactly as operations make and drop them."""

import weakref
from collections.abc import Sequence
from types import TracebackType
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class LiveBytes(TorchDispatchMode):
    """Counts what operations inside the block allocate, on the CPU, backward passes included.

    Memory that was there before does not count; a view counts with what it looks at, once. What
    kernels allocate inside themselves is not seen, nor what the allocator wastes.
    """

    def __init__(self) -> None:
        super().__init__()
        self.peak = 0
        self._bytes = 0
        self._alive: dict[int, int] = {}

    def now(self) -> int:
        """Return the bytes that are alive at this moment."""
        return self._bytes

    def __torch_dispatch__(
        self, func: Any, types: Sequence[Any], args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        """Run one operation and look at what it returns."""
        given = {id(x) for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)}
        out = func(*args, **(kwargs or {}))
        old = {x.untyped_storage()._cdata for x in tree_leaves(args) if isinstance(x, Tensor)}
        for leaf in tree_leaves(out):
            if isinstance(leaf, Tensor) and id(leaf) not in given:
                self._meet(leaf.untyped_storage(), old)
        self.peak = max(self.peak, self._bytes)
        return out

    def _meet(self, storage: torch.UntypedStorage, old: set[int]) -> None:
        key = storage._cdata
        if key in self._alive or key in old:  # a view of what was there before is no new memory
            return
        self._alive[key] = storage.nbytes()
        self._bytes += storage.nbytes()
        # torch keeps one Python object for a storage as long as anything holds the storage
        weakref.finalize(storage, self._drop, key).atexit = False

    def _drop(self, key: int) -> None:
        self._bytes -= self._alive.pop(key)


class KeptBytes:
    """Counts what autograd keeps for the backward pass of a block, on any device.

    Each piece of memory counts once; parameters do not count.
    """

    def __init__(self) -> None:
        self._pieces: dict[int, int] = {}
        self._hooks = saved_tensors_hooks(self._keep, _as_it_is)

    @property
    def bytes(self) -> int:
        """Bytes kept so far."""
        return sum(self._pieces.values())

    def __enter__(self) -> "KeptBytes":
        self._hooks.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._hooks.__exit__(kind, error, trace)

    def _keep(self, tensor: Tensor) -> Tensor:
        if not isinstance(tensor, torch.nn.Parameter):
            storage = tensor.untyped_storage()
            self._pieces[storage.data_ptr()] = storage.nbytes()
        return tensor


def _as_it_is(tensor: Tensor) -> Tensor:
    return tensor
