import json
import logging
import os
import subprocess
import sys

import pytest

from foldwright.cli import main as door
from foldwright.cli.commands import COMMANDS, GROUPS
from foldwright.cli.main import main
from foldwright.runtime.errors import FoldwrightError, InputError, Problem


def answer(command):
    """Make `foldwright doctor` run `command` instead."""

    def replace(monkeypatch):
        monkeypatch.setattr("foldwright.cli.doctor.doctor_command", command)

    return replace


def run_process(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "foldwright", *words],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        check=False,
    )


@pytest.mark.parametrize("code", [0, 1])
def test_exit_code_is_that_of_the_command(monkeypatch, code):
    answer(lambda: code)(monkeypatch)
    assert main(["doctor"]) == code


def test_problems_are_one_line_each_on_stderr(monkeypatch, capsys):
    def command() -> int:
        raise InputError([Problem("a[b].pdb:3", "no atoms " + "x" * 200), Problem("", "nothing")])

    answer(command)(monkeypatch)
    assert main(["doctor"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err == f"error: a[b].pdb:3: no atoms {'x' * 200}\nerror: nothing\n"


def test_any_error_of_ours_is_a_line_and_not_a_traceback(monkeypatch, capsys):
    def command() -> int:
        raise FoldwrightError("the disk is full")

    answer(command)(monkeypatch)
    assert main(["doctor"]) == 2
    assert capsys.readouterr().err == "error: the disk is full\n"


def test_errors_of_the_program_itself_are_not_hidden(monkeypatch):
    def command() -> int:
        raise ZeroDivisionError

    answer(command)(monkeypatch)
    with pytest.raises(ZeroDivisionError):
        main(["doctor"])


def test_ctrl_c_says_how_to_go_on(monkeypatch, capsys):
    def command() -> int:
        raise KeyboardInterrupt

    answer(command)(monkeypatch)
    assert main(["doctor"]) == 130
    assert capsys.readouterr().err == "stopped; run the same command again to resume\n"


def test_notes_of_the_package_go_to_stderr_once(monkeypatch, capsys):
    def command() -> int:
        logging.getLogger("foldwright.runtime.device").info("device: cpu, [the best]")
        return 0

    answer(command)(monkeypatch)
    main(["doctor"])
    main(["doctor"])
    assert capsys.readouterr() == ("", "device: cpu, [the best]\n" * 2)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["dcotor"], "doctor"),
        (["doctor", "--jsn"], "--json"),
        (["doctor", "stray"], "stray"),
        (["data", "fetch"], "--out"),
    ],
)
def test_bad_usage_is_exit_code_2_with_a_hint(words, said, capsys):
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err


@pytest.mark.parametrize("command", [row[0] for row in COMMANDS])
def test_every_command_has_a_help_page_with_examples(command, capsys):
    assert main([*command.split(), "--help"]) == 0
    page = capsys.readouterr().out
    assert f"Usage: foldwright {command}" in page
    assert "Examples:" in page
    assert page.count(f" foldwright {command}") >= 2


def test_list_of_commands_is_complete_and_a_group_lists_its_own(capsys):
    assert main(["--help"]) == 0
    page = capsys.readouterr().out
    for name in {row[0].split()[0] for row in COMMANDS}:
        assert f" {name} " in page
    assert main(["data", "--help"]) == 0
    page = capsys.readouterr().out
    for row in COMMANDS:
        if row[0].startswith("data "):
            assert row[2].rstrip(".") in page
    groups = {row[0].rpartition(" ")[0] for row in COMMANDS} - {""}
    parents = {name.rpartition(" ")[0] for name in groups} - {""}
    assert set(GROUPS) == groups | parents


def test_line_in_the_list_is_short():
    assert all(len(row[2]) <= 60 and row[2].endswith(".") for row in COMMANDS)


def test_help_mistyped_commands_and_the_package_import_no_torch():
    code = (
        "import sys, foldwright; from foldwright.cli.main import main; "
        "main(['--help']); main(['data', '--help']); main(['--version']); main(['fodl']); "
        "sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_process_with_version_and_bad_usage():
    version = run_process("--version")
    assert (version.returncode, version.stdout.strip()) == (0, door.__version__)
    assert run_process("nothing-like-this").returncode == 2


def test_reader_that_goes_away_is_no_traceback(monkeypatch, capsys):
    read, write = os.pipe()
    os.close(read)
    child = subprocess.Popen(
        [sys.executable, "-m", "foldwright", "doctor", "--json"],
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    os.close(write)
    _, errors = child.communicate(timeout=60)
    assert "Traceback" not in errors
    assert child.returncode == 141


def test_doctor_in_json_and_as_a_table(capsys):
    assert main(["doctor", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {"subject", "found", "note"} == set(rows[0])
    assert main(["doctor"]) == 0
    table = capsys.readouterr().out
    assert all(row["found"] in table for row in rows if row["subject"] in ("torch", "python"))


@pytest.mark.parametrize(("command", "asks"), [("train", False), ("design", True)])
def test_training_does_not_ask_for_huge_pages(command, asks, monkeypatch, capsys):
    asked = []
    monkeypatch.setattr(door, "prefer_huge_pages", lambda: asked.append(command))
    assert main([command, "--help"]) == 0
    assert bool(asked) is asks
