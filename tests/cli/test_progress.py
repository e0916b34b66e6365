import os
import subprocess
import sys

import pytest

from foldwright.cli.progress import (
    PlainProgress,
    duration_text,
    fields_text,
    rate_text,
    terminal_progress,
)


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_lines_every_ten_seconds_with_rate_time_left_and_fields(capsys):
    clock = Clock()
    with PlainProgress("train", 100, clock=clock) as bar:
        for step in range(50):
            clock.now += 0.5
            bar.advance(loss=1 / (step + 1), lr=1e-4)
        bar.advance(30, stage="late")
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "train: 20/100, 2/s, 40 s left, loss 0.05, lr 0.0001",
        "train: 40/100, 2/s, 30 s left, loss 0.025, lr 0.0001",
        "train: 80/100, 3.2/s, finished after 25 s, loss 0.02, lr 0.0001, stage late",
    ]


def test_steps_of_an_earlier_run_do_not_enter_the_rate(capsys):
    clock = Clock()
    with PlainProgress("train", 1000, clock=clock) as bar:
        bar.skip(900)
        clock.now += 10
        bar.advance(20)
    first = capsys.readouterr().err.splitlines()[0]
    assert first == "train: 920/1000, 2/s, 40 s left"


def test_unknown_total_and_slow_steps(capsys):
    clock = Clock()
    with PlainProgress("fetch", 0, clock=clock) as bar:
        clock.now += 20
        bar.advance(2)
    assert capsys.readouterr().err.splitlines() == [
        "fetch: 2, 10 s each",
        "fetch: 2, 10 s each, finished after 20 s",
    ]


def test_work_that_fails_says_how_far_it_came(capsys):
    def fail() -> None:
        with PlainProgress("train", 9, clock=Clock()) as bar:
            bar.advance(4)
            raise ValueError("bad")

    with pytest.raises(ValueError, match="bad"):
        fail()
    assert capsys.readouterr().err == "train: 4/9, stopped after 0 s\n"


def test_short_work_inside_other_work_is_silent(capsys):
    clock = Clock()
    with PlainProgress("designs", 2, clock=clock) as outer:
        for _ in range(2):
            with PlainProgress("steps", 3, clock=clock) as inner:
                inner.advance(3)
            outer.advance()
    assert capsys.readouterr().err == "designs: 2/2, finished after 0 s\n"


def test_outside_a_terminal_lines_are_written(capsys):
    with terminal_progress("work", 1) as bar:
        bar.advance(name="[x]")
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("work: 1/1, ")
    assert err.endswith(", name [x]\n")


def test_bars_on_a_terminal_nest_and_leave_the_outer_one():
    pty = pytest.importorskip("pty", reason="no pseudo-terminals on this system")
    code = (
        "from foldwright.cli.progress import terminal_progress as p\n"
        "with p('designs', 2) as outer:\n"
        "    for i in range(2):\n"
        "        with p('steps', 3) as inner:\n"
        "            for j in range(3): inner.advance(loss=0.25)\n"
        "        outer.advance()\n"
        "with p('next', 1) as bar: bar.advance(lr=0.5)\n"
        "print('result')\n"
    )
    terminal, child_side = pty.openpty()
    child = subprocess.Popen(
        [sys.executable, "-c", code],
        stderr=child_side,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "TERM": "xterm"},
    )
    os.close(child_side)
    drawn = b""
    while True:
        try:
            block = os.read(terminal, 4096)
        except OSError:  # the other side is closed
            break
        if not block:
            break
        drawn += block
    out, _ = child.communicate(timeout=60)
    assert child.returncode == 0, drawn
    assert out == "result\n"
    text = drawn.decode()
    assert "designs" in text
    assert "2/2" in text
    assert text.rindex("next") > text.rindex("designs") > text.rindex("steps")
    assert "lr 0.5" in text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59.4, "59 s"), (65, "1 min 05 s"), (7799, "2 h 09 min")],
)
def test_durations(seconds, text):
    assert duration_text(seconds) == text


def test_rates_and_fields():
    assert [rate_text(rate) for rate in (None, 0.0, 12.345, 0.5)] == ["", "", "12.3/s", "2 s each"]
    assert fields_text({"loss": 0.123456, "device": "cpu"}) == "loss 0.1235, device cpu"
