"""Independent pieces of work on several CPU cores, each with one thread of its own.

Small networks gain little from several threads within each operation; whole batches beside one
another use the cores, and give the same bits with any number of cores.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")


class _StoppedError(Exception):
    """Ends a piece of work whose result nobody waits for any more."""


@contextmanager
def side_by_side(
    work: Callable[[ItemT, Callable[[], None]], ResultT],
    items: Sequence[ItemT],
    device: torch.device,
) -> Iterator[Iterator[ResultT]]:
    """Work on items beside one another and give the results in their order.

    On the CPU as many threads run as torch was given, and each computes with one; on other
    devices there is one after the other. When the block is left before its end, by Ctrl-C for
    instance, items that have not begun are dropped, and begun ones end the next time they call
    what they got. An error of an item is raised where its result would have come.

    Args:
        work: called with an item and a function that it calls now and then, at every step.
        items: in the order of the results.
        device: where the work computes.
    """
    stop = threading.Event()

    def proceed() -> None:
        if stop.is_set():
            raise _StoppedError

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # threads that begin from here on compute with one
    pool = ThreadPoolExecutor(threads if device.type == "cpu" else 1)
    try:
        futures = [pool.submit(work, item, proceed) for item in items]
        yield (future.result() for future in futures)
    finally:
        stop.set()
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(threads)
