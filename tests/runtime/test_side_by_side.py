"""Work beside other work: order, threads, errors, and an end before the end."""

import threading
from collections.abc import Callable, Iterator

import pytest
import torch

from foldwright.runtime.side_by_side import side_by_side

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def three_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def test_results_come_in_order_from_threads_that_compute_alone() -> None:
    together = threading.Barrier(3, timeout=30)

    def work(item: int, proceed: Callable[[], None]) -> tuple[int, int, str]:
        together.wait()  # passes only where three items are worked on at once
        proceed()
        return item, torch.get_num_threads(), threading.current_thread().name

    with side_by_side(work, range(6), CPU) as results:
        found = list(results)
    assert [item for item, _, _ in found] == list(range(6))
    assert {threads for _, threads, _ in found} == {1}
    assert threading.current_thread().name not in {name for _, _, name in found}
    assert torch.get_num_threads() == 3


def test_other_devices_do_one_thing_at_a_time() -> None:
    names = set()

    def work(item: int, proceed: Callable[[], None]) -> None:
        names.add(threading.current_thread().name)

    with side_by_side(work, range(20), torch.device("meta")) as results:
        assert len(list(results)) == 20
    assert len(names) == 1


def test_an_error_comes_at_its_place_and_ends_the_rest() -> None:
    began = []
    waiting = threading.Event()

    def work(item: int, proceed: Callable[[], None]) -> int:
        began.append(item)
        if item == 1:
            raise ValueError("item 1")
        while item > 1:  # only being stopped ends these
            waiting.wait(0.001)
            proceed()
        return item

    seen: list[int] = []

    def collect() -> None:
        with side_by_side(work, range(50), CPU) as results:
            for item in results:
                seen.append(item)

    with pytest.raises(ValueError, match="item 1"):
        collect()
    assert seen == [0]
    assert set(began) <= set(range(6))
    assert torch.get_num_threads() == 3


def test_leaving_early_ends_begun_work() -> None:
    begun, ended = threading.Event(), threading.Event()

    def work(item: int, proceed: Callable[[], None]) -> int:
        if item == 0:
            return item
        begun.set()
        try:
            while True:
                proceed()
        finally:
            ended.set()

    def leave() -> None:
        with side_by_side(work, range(2), CPU) as results:
            assert next(results) == 0
            assert begun.wait(30)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        leave()
    assert ended.is_set()
