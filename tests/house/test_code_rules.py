"""The rules about code hold for the package, and each of them can fail."""

import subprocess
from pathlib import Path

import pytest

from tests.house.code_rules import (
    broad_except_problems,
    parameter_problems,
    print_problems,
    repeated_class_names,
    size_problems,
    unread_config_fields,
    workplace_problems,
)
from tests.house.source_tree import Module, hold, read_modules

ROOT = Path(__file__).resolve().parents[2]
PROJECT_FOLDERS = ("src", "tests", "docs", "benchmarks", ".ci")


@pytest.fixture(scope="module")
def package() -> list[Module]:
    return read_modules(ROOT / "src")


@pytest.fixture(scope="module")
def all_code() -> list[Module]:
    return [
        module
        for folder in ("src", "tests", "benchmarks")
        for module in read_modules(ROOT / folder)
    ]


def project_files() -> list[Path]:
    """Files that git tracks, or, without git, those in the project's own folders."""
    listing = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, text=True, check=False
    )
    if listing.returncode == 0 and listing.stdout:
        names = listing.stdout.rstrip("\0").split("\0")
        return [ROOT / name for name in names if (ROOT / name).is_file()]
    inner = [path for folder in PROJECT_FOLDERS for path in (ROOT / folder).rglob("*")]
    return [path for path in (*inner, *ROOT.glob("*.*")) if path.is_file()]


def test_functions_and_files_are_short(all_code):
    hold(size_problems(all_code))


def test_functions_have_few_parameters(package):
    hold(parameter_problems(package))


def test_no_class_name_twice(package):
    hold(repeated_class_names(package))


def test_only_the_command_line_prints(package):
    hold(print_problems(package, "foldwright"))


def test_no_handler_catches_everything(all_code):
    hold(broad_except_problems(all_code))


def test_every_config_field_is_read(package):
    hold(unread_config_fields(package))


def test_no_workplace_paths():
    hold(workplace_problems(project_files(), ROOT))


def test_long_function_and_long_file_are_found(tree):
    body = "    x = 1\n" * 80
    modules = tree(
        {"a.py": f"def f():\n{body}", "b.py": "x = 1\n" * 801, "c.py": f"def g():\n{body[:-10]}"}
    )
    assert size_problems(modules) == [
        "pkg.a.f has 81 lines, at most 80",
        "pkg.b has 801 lines, at most 800",
    ]


def test_many_parameters_are_found_unless_it_is_a_command(tree):
    eight = "a, b, c, d, /, e, f, *, g, h"
    modules = tree(
        {
            "a.py": f"def f({eight}): ...\nclass C:\n    def m(self, a, b, c, d, e, f, g): ...",
            "cli/run.py": f"def run({eight}): ...\ndef helper({eight}): ...",
            "cli/main.py": "COMMANDS = ('pkg.cli.run:run',)",
        }
    )
    assert parameter_problems(modules) == [
        "pkg.a.f has 8 parameters, at most 7",
        "pkg.cli.run.helper has 8 parameters, at most 7",
    ]


def test_repeated_class_is_found_and_nested_config_is_not(tree):
    nested = "class {0}:\n    class Config: ..."
    modules = tree(
        {
            "a.py": "class Attention: ...\n" + nested.format("A"),
            "b.py": "def f():\n    class Attention: ...\n" + nested.format("B"),
        }
    )
    assert repeated_class_names(modules) == ["Attention: pkg.a:1, pkg.b:2"]


def test_print_is_found_outside_the_command_line(tree):
    modules = tree(
        {"nn/a.py": "def f():\n    print(1)", "cli/b.py": "print(1)", "nn/c.py": "table.print(1)"}
    )
    assert print_problems(modules, "pkg") == ["pkg.nn.a:2 prints"]


@pytest.mark.parametrize(
    "caught", ["", " Exception", " (OSError, BaseException)", " Exception as e"]
)
def test_broad_handler_is_found(tree, caught):
    modules = tree({"a.py": f"try:\n    x = 1\nexcept{caught}:\n    raise"})
    assert len(broad_except_problems(modules)) == 1


def test_narrow_handler_is_fine(tree):
    source = "try:\n    x = 1\nexcept (OSError, pkg.ParseException) as e:\n    raise"
    assert broad_except_problems(tree({"a.py": source})) == []


def test_unread_field_is_found_through_subclasses(tree):
    modules = tree(
        {
            "runtime/config.py": "class Config: ...",
            "nn/a.py": "class Wide(Config):\n"
            "    used: int\n"
            "    unused: int = 1\n"
            "    kept: ClassVar[int] = 2\n"
            "    def check(self):\n"
            "        return self.unused\n",
            "nn/b.py": "class Wider(a.Wide):\n    also: int\n",
            "nn/c.py": "def f(config):\n    config.also = 3\n    return config.used\n",
        }
    )
    assert unread_config_fields(modules) == ["pkg.nn.a.Wide.unused", "pkg.nn.b.Wider.also"]


@pytest.mark.parametrize("folder", ["work/main", "home/me", "tmp/venv/bin"])
def test_workplace_path_is_found(tmp_path, folder):
    (tmp_path / "page.md").write_text(f"fine\nsee `/{folder}/x.py`\nand https://a.org/{folder}\n")
    (tmp_path / "array.npy").write_bytes(b"\x93NUMPY\xff")
    (problem,) = workplace_problems(sorted(tmp_path.iterdir()), tmp_path)
    assert problem.startswith("page.md:2: see")
