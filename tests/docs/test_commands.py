"""Everything that README and docs/ tell people to type is known to the program, or runs.

Command lines are bound to the functions behind them without calling those; the ones of `RUN` are
carried out as well, in a folder where every name stands for something small.
"""

import importlib
import inspect
import re
from collections.abc import Iterator

import pytest
from cyclopts import CycloptsError

from foldwright.cli.backbone_experiment import BackboneExperiment
from foldwright.cli.main import COMMANDS, build_app, main
from foldwright.runtime.config import load_config, parse_config
from foldwright.runtime.yaml_text import parse_yaml
from tests.docs.pages import ROOT, Command, blocks, code_spans, commands, options

_SMALL = {"--num": "1", "--length": "24", "--workers": "1", "--weights": "small.safetensors"}
"""Values that take the place of those on the pages when a command is carried out."""

RUN = {
    "config import": [],
    "data import-legacy": [],
    "data inspect": [],
    "data prepare": [],
    "design": ["--steps", "1", "--device", "cpu"],
    "doctor": [],
    "evaluate": [],
    "report": [],
    "train backbone": ["training.max_steps=1"],
    "train export": [],
}
"""Commands that are carried out, with words that make them small."""

# Of programs that are not ours.
_OTHER_OPTIONS = {"--nproc-per-node"}


def _ours() -> list[Command]:
    return [command for command in commands() if command.words[0] == "foldwright"]


def _name(words: list[str]) -> str | None:
    names = sorted((row[0] for row in COMMANDS), key=len, reverse=True)
    return next((name for name in names if words[: len(name.split())] == name.split()), None)


def _options_of(command: str) -> set[str]:
    app = build_app(command.split())
    for word in command.split():
        app = app[word]
    return {name for argument in app.assemble_argument_collection() for name in argument.names}


def _complaint(words: list[str]) -> CycloptsError | None:
    """What is wrong with a command line, found without carrying it out."""
    try:
        build_app(words).parse_args(words, exit_on_error=False, print_error=False)
    except CycloptsError as error:
        return error
    return None


@pytest.fixture(scope="module")
def known_options() -> set[str]:
    listed = {name for row in COMMANDS for name in _options_of(row[0])}
    scripts = [*ROOT.glob("recipes/*/*.py"), *ROOT.glob("benchmarks/*.py")]
    for script in scripts:
        listed.update(re.findall(r'"(--[a-z-]+)"', script.read_text(encoding="utf-8")))
    return listed | _OTHER_OPTIONS | {"--help", "--version"}


@pytest.mark.parametrize("command", _ours(), ids=str)
def test_the_program_understands_the_line(command: Command) -> None:
    complaint = _complaint(command.words[1:])
    assert complaint is None, f"{command.page}: {command.line}: {complaint}"


def test_every_command_that_a_sentence_names_exists() -> None:
    """A sentence need not give the arguments, and may say which commands are still to come."""
    known = {row[0].split()[0] for row in COMMANDS}
    spans = [span for span in code_spans() if re.match(r"foldwright [a-z]", span.line)]
    assert len(spans) > 10
    assert [span for span in spans if span.line.split()[1] not in known] == []


def _examples() -> Iterator[tuple[str, str]]:
    for name, place, _ in COMMANDS:
        module, _, function = place.partition(":")
        text = inspect.getdoc(getattr(importlib.import_module(module), function)) or ""
        for line in re.findall(r"^ +(foldwright .+)$", text, re.MULTILINE):
            yield name, line


def test_the_program_understands_the_examples_of_its_help() -> None:
    seen = set()
    for name, line in _examples():
        seen.add(name)
        assert _complaint(Command("help", line).words[1:]) is None, line
    assert seen == {row[0] for row in COMMANDS}


def test_every_option_on_a_page_exists(known_options: set[str]) -> None:
    spans = [(span.page, option) for span in code_spans() for option in options(span.line)]
    lines = [
        (block.page, option)
        for block in blocks()
        if block.language in ("", "bash", "sh", "console")
        for option in options(block.text)
    ]
    unknown = [(page, option) for page, option in spans + lines if option not in known_options]
    assert unknown == []


def test_a_line_with_a_wrong_option_or_a_stray_word_is_found() -> None:
    for line in ("design --lenght 8 --out x", "evaluate x y", "design --num two --out x"):
        assert _complaint(line.split()) is not None
    assert _complaint(["design", "--length", "8", "--out", "x"]) is None


def _runnable() -> list[Command]:
    """Commands of `RUN`, one of those that are the same when small."""
    found: dict[tuple[str, ...], Command] = {}
    for command in _ours():
        words = command.words[1:]
        if _name(words) in RUN and "recipes/" not in command.line:
            found.setdefault(tuple(_made_small(words)), command)
    return list(found.values())


def _made_small(words: list[str]) -> list[str]:
    """The same command with small numbers, and with our weights in the place of others."""
    small = list(words)
    for option, value in _SMALL.items():
        if option in small:
            small[small.index(option) + 1] = value
    extra = RUN[_name(words) or ""]
    return [*small, *(() if extra[:1] and extra[0] in small else extra)]


@pytest.mark.usefixtures("workplace")
@pytest.mark.parametrize("command", _runnable(), ids=str)
def test_the_line_runs(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    words = _made_small(command.words[1:])
    if "config.yaml" in words and "import" in words:
        words[words.index("config.yaml")] = "imported.yaml"
    assert main(words) == 0, capsys.readouterr().err


def test_scripts_and_targets_on_the_pages_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    found = {"python": 0, "make": 0}
    for command in commands():
        program, *words = command.words
        if program == "make":
            found["make"] += 1
            assert re.search(rf"^{words[0]}:", makefile, re.MULTILINE), command
        if program == "python" and words[0].endswith(".py"):
            found["python"] += 1
            text = (ROOT / words[0]).read_text(encoding="utf-8")
            for option in options(command.line):
                assert f'"{option}"' in text, command
    assert all(found.values())


@pytest.mark.usefixtures("workplace")
def test_settings_on_the_training_page_are_valid() -> None:
    (block,) = (b for b in blocks() if b.page == "docs/training.md" and b.language == "yaml")
    experiment = parse_config(BackboneExperiment, parse_yaml(block.text, str(block)), str(block))
    assert experiment.training.max_steps == 100000


def test_settings_of_the_bundled_recipe_are_valid() -> None:
    experiment = load_config(BackboneExperiment, ROOT / "recipes/bundled_backbone/config.yaml")
    assert experiment.training.max_steps > 1000
