import csv
import json
from pathlib import Path

import pytest

from foldwright.cli.main import main
from tests.evaluation.conftest import build_trace, write_trace


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "designs"
    path.mkdir()
    write_trace(path / "helix.pdb", build_trace(60))
    write_trace(path / "mirror.cif", build_trace(60, dihedral=-50))
    return path


def test_json_tables_and_exit_code(folder: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["evaluate", str(folder), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    written = json.loads((folder / "evaluation" / "summary.json").read_text())
    assert printed == written
    assert printed["gates"]["mirror_dihedral_share"]["value"] == 0.5
    with (folder / "evaluation" / "scores.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["name"], row["mirror_dihedral_share"]) for row in rows] == [
        ("helix", "0"),
        ("mirror", "1"),
    ]


def test_the_screen_shows_values_natural_values_and_gates(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    out = tmp_path / "elsewhere"
    assert main(["evaluate", str(folder), "--out", str(out)]) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert any(
        line.startswith("CA dihedrals -75 to -30° (mirror) 50.0 %") and line.endswith("<= 4 % MISS")
        for line in lines
    )
    assert any(line.startswith("CA-CA 3.6-4.0") and line.endswith("pass") for line in lines)
    assert (out / "scores.csv").is_file()
    assert not (folder / "evaluation").exists()


def test_a_second_run_scores_the_same_files(folder: Path, capsys: pytest.CaptureFixture[str]):
    outputs = []
    for _ in range(2):
        assert main(["evaluate", str(folder), "--json"]) == 0
        outputs.append(capsys.readouterr().out)
    assert outputs[0] == outputs[1]


def test_a_bad_file_is_a_line_and_exit_code_one(folder: Path, capsys: pytest.CaptureFixture[str]):
    (folder / "bad.pdb").write_text("junk\n")
    assert main(["evaluate", str(folder)]) == 1
    assert "bad.pdb" in capsys.readouterr().out
    assert main(["report", str(folder), "--json"]) == 1
    printed = json.loads(capsys.readouterr().out)
    assert printed["failures"][0]["file"] == "bad.pdb"


def test_a_folder_without_structures_is_bad_input(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert main(["evaluate", str(tmp_path)]) == 2
    assert "holds no structure files" in capsys.readouterr().err
    assert main(["report", str(tmp_path / "absent")]) == 2
    assert "is not a folder" in capsys.readouterr().err


def test_a_report_and_its_picture(folder: Path, tmp_path: Path):
    picture = tmp_path / "designs.png"
    assert main(["report", str(folder), "--picture", str(picture)]) == 0
    assert "mirror" in (folder / "report.html").read_text()
    assert picture.read_bytes().startswith(b"\x89PNG")
