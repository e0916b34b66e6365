"""Every mistake on a command line is one line: what was found, what was expected, where help is."""

import pytest

from foldwright.cli.main import main

PREPARE = "data prepare raw --out store"
LINES = [
    (
        f"{PREPARE} --max-coil 2",
        "--max-coil: found '2', expected less than or equal to 1; see foldwright data prepare",
    ),
    (
        f"{PREPARE} --max-length long",
        "--max-length: found 'long', expected a valid integer; see foldwright data prepare",
    ),
    (
        f"{PREPARE} --max-length 5",
        "--max-length 5 is below --min-length 40: no chain would pass; see foldwright data prepare",
    ),
    (
        f"{PREPARE} --workers two",
        "--workers: found 'two', expected a whole number; see foldwright data prepare",
    ),
    (
        "design --out new --sampler euler",
        "--sampler: found 'euler', expected 'ddpm', 'ddim', 'ode' or 'sde'; see foldwright design",
    ),
    (
        "data fetch 1crn --out new --format xyz",
        "--format: found 'xyz', expected cif, bcif, pdb; see foldwright data fetch",
    ),
    (
        "data fetch 1crn --out new --timeout soon",
        "--timeout: found 'soon', expected a number; see foldwright data fetch",
    ),
    ("design --length", "--length: needs a value; found none; see foldwright design"),
    ("design", "--out: needs a value; found none; see foldwright design"),
    (
        "train backbone --out run",
        "CONFIG: is missing on the command line; see foldwright train backbone",
    ),
    (
        "doctor --jsn",
        "Unknown option: --jsn. Did you mean --json? See foldwright doctor",
    ),
    (
        "doctor stray words",
        "stray words: found more words than this command takes; see foldwright doctor",
    ),
    (
        "design --out new --num 1 --num 2",
        "Parameter --num specified multiple times; see foldwright design",
    ),
]


@pytest.mark.parametrize(("words", "line"), LINES)
def test_a_mistake_is_one_line(words: str, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words.split()) == 2
    assert capsys.readouterr() == ("", f"error: {line} --help\n")


UNKNOWN = [
    ("dcotor", "dcotor: unknown command; did you mean doctor? See foldwright --help"),
    (
        "fold xyz job.json",
        "xyz: unknown command; expected weights; see foldwright fold --help",
    ),
    ("data prepair", "prepair: unknown command; did you mean prepare? See foldwright data --help"),
]


@pytest.mark.parametrize(("words", "line"), UNKNOWN)
def test_an_unknown_command_is_one_line_with_what_would_do(
    words: str, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words.split()) == 2
    assert capsys.readouterr() == ("", f"error: {line}\n")


def test_several_values_are_several_lines(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*PREPARE.split(), "--max-coil", "2", "--min-length", "0"]) == 2
    assert capsys.readouterr().err.splitlines() == [
        "error: --min-length: found '0', expected greater than or equal to 1",
        "error: --max-coil: found '2', expected less than or equal to 1; "
        "see foldwright data prepare --help",
    ]
