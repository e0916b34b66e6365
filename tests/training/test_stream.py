from itertools import islice

import pytest

from foldwright.runtime.errors import InputError
from foldwright.training.stream import Position, Share, plan_steps, stream_steps

START = Position()


class Letters:
    """Epoch e has the batches e0, e1, ..."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __call__(self, epoch: int) -> list[str]:
        return [f"{epoch}.{index}" for index in range(self.count)]


def take(steps: int, *, start: Position = START, count: int = 5, **share: int) -> list:
    stream = stream_steps(Letters(count), start, Share(**share), num_workers=0, pin_memory=False)
    return [batches for _, batches in islice(stream, steps)]


def test_every_batch_is_taken_once_per_epoch() -> None:
    assert take(4, accumulation=2) == [["0.0", "0.1"], ["0.2", "0.3"], ["0.4"], ["1.0", "1.1"]]


def test_any_step_can_be_the_first() -> None:
    plans = list(islice(plan_steps(Letters(5), Position(), Share(accumulation=2)), 7))
    for number, plan in enumerate(plans[:-1]):
        rest = list(islice(plan_steps(Letters(5), plan.after, Share(accumulation=2)), 3))
        assert rest[0] == plans[number + 1]
    assert [plan.ends_epoch for plan in plans[:4]] == [False, False, True, False]


def test_processes_share_the_batches_of_a_step() -> None:
    parts = [take(2, accumulation=2, rank=rank, num_ranks=2) for rank in (0, 1)]
    assert parts[0] == [["0.0", "0.2"], ["0.4"]]
    assert parts[1] == [["0.1", "0.3"], []]


def test_slots_do_not_depend_on_the_number_of_processes() -> None:
    alone = next(plan_steps(Letters(5), Position(), Share(accumulation=4)))
    pair = [
        next(plan_steps(Letters(5), Position(), Share(accumulation=2, rank=rank, num_ranks=2)))
        for rank in (0, 1)
    ]
    seen = {
        slot: batch for plan in pair for slot, batch in zip(plan.slots, plan.batches, strict=True)
    }
    assert seen == dict(zip(alone.slots, alone.batches, strict=True))


def test_worker_processes_give_the_same_batches() -> None:
    stream = stream_steps(
        Letters(5), Position(1, 3), Share(accumulation=2), num_workers=2, pin_memory=False
    )
    found = [batches for _, batches in islice(stream, 6)]
    assert found == take(6, start=Position(1, 3), accumulation=2)


def test_an_epoch_without_batches_is_an_error() -> None:
    with pytest.raises(InputError, match="epoch 0 has no batches"):
        take(1, count=0)
