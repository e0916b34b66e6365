import csv
import json

import pytest

from foldwright.runtime.errors import InputError
from foldwright.training.metrics import MetricsFiles, Window


def test_window_gives_means_and_begins_anew() -> None:
    window = Window()
    window.add({"loss": 1.0, "norm": 4.0})
    window.add({"loss": 2.0, "norm": 6.0})
    assert (window.mean("loss"), window.mean("other")) == (1.5, 0.0)
    assert window.take() == {"loss": 1.5, "norm": 5.0}
    assert window.take() == {}


def test_a_window_restored_in_the_middle_gives_the_same_mean() -> None:
    whole, first = Window(), Window()
    for window in (whole, first):
        window.add({"loss": 0.1})
    second = Window(json.loads(json.dumps(first.state())))
    for window in (whole, second):
        window.add({"loss": 0.7})
    assert whole.take() == second.take()


def test_a_number_that_some_steps_lack_is_a_mean_over_those_that_have_it() -> None:
    window = Window()
    window.add({"loss": 1.0, "gradient_norm": 6.0})
    window.add({"loss": 1.0})
    assert window.take() == {"loss": 1.0, "gradient_norm": 6.0}


def read_csv(folder):
    with (folder / "metrics.csv").open(newline="") as handle:
        return list(csv.DictReader(handle))


def test_new_columns_appear_in_all_rows_of_the_table(tmp_path) -> None:
    files = MetricsFiles(tmp_path, resume_step=0)
    files.write({"step": 1, "loss": 0.5})
    files.write({"step": 2, "loss": 0.25, "extra": "a,b"})
    files.write({"step": 3, "loss": 0.125})
    rows = read_csv(tmp_path)
    assert [row["loss"] for row in rows] == ["0.5", "0.25", "0.125"]
    assert [row["extra"] for row in rows] == ["", "a,b", ""]


def test_lines_after_the_resumed_step_and_half_lines_are_dropped(tmp_path) -> None:
    files = MetricsFiles(tmp_path, resume_step=0)
    for step in (1, 2, 3):
        files.write({"step": step, "loss": step / 2})
    with (tmp_path / "metrics.jsonl").open("a") as handle:
        handle.write('{"step": 4, "lo')
    MetricsFiles(tmp_path, resume_step=2).write({"step": 3, "loss": 9.0})
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["loss"] for line in lines] == [0.5, 1.0, 9.0]
    assert [row["loss"] for row in read_csv(tmp_path)] == ["0.5", "1.0", "9.0"]


def test_a_damaged_line_in_the_middle_is_named(tmp_path) -> None:
    (tmp_path / "metrics.jsonl").write_text('{"step": 1}\nnonsense\n{"step": 3}\n')
    with pytest.raises(InputError, match=r"metrics.jsonl, line 2: is not JSON"):
        MetricsFiles(tmp_path, resume_step=3)
