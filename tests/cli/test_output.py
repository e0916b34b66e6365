import json
from pathlib import Path

import pytest

from foldwright.cli.output import emit

ROWS = [
    {"name": "design_0001", "clashes": 3, "rg": 12.34567, "file": Path("a/b.cif")},
    {"name": "design_[0002]", "clashes": None, "rg": float("nan"), "good": True},
]


def test_json_is_strict_and_alone_on_stdout(capsys):
    emit(ROWS, as_json=True, title="not shown")
    out, err = capsys.readouterr()
    assert err == ""
    assert json.loads(out, parse_constant=pytest.fail) == [
        {"name": "design_0001", "clashes": 3, "rg": 12.34567, "file": "a/b.cif"},
        {"name": "design_[0002]", "clashes": None, "rg": None, "good": True},
    ]


def test_rows_become_a_table_with_every_column_and_missing_as_a_dash(capsys):
    emit(ROWS, as_json=False, title="Designs")
    lines = [line.split() for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert lines[0] == ["Designs"]
    assert lines[1] == ["name", "clashes", "rg", "file", "good"]
    assert lines[3] == ["design_0001", "3", "12.35", "a/b.cif", "-"]
    assert lines[4] == ["design_[0002]", "-", "nan", "-", "yes"]


def test_record_becomes_lines_and_its_rows_a_table(capsys):
    record = {"num_failed": 1, "folder": Path("x"), "lengths": [64, 128], "failures": ROWS[:1]}
    emit(record, as_json=False)
    lines = [line.split() for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert lines[:3] == [["num", "failed", "1"], ["folder", "x"], ["lengths", "64,", "128"]]
    assert lines[3] == ["failures"]
    assert lines[-1][0] == "design_0001"


def test_long_values_are_whole_when_stdout_is_a_file(capsys):
    emit([{"reason": "x" * 150}], as_json=False)
    assert "x" * 150 in capsys.readouterr().out


def test_nested_mapping_and_empty_lists(capsys):
    emit({"share": {"helix": 0.51234, "strand": None}, "failures": []}, as_json=False)
    out = capsys.readouterr().out
    assert "helix 0.5123, strand -" in out
    assert "none" in out
