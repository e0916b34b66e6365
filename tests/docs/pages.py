"""What README and the pages of docs/ tell people to type, taken out of their text."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

_FENCED = re.compile(r"^```(?P<language>\w*)\n(?P<text>.*?)^```", re.MULTILINE | re.DOTALL)
_INDENTED = re.compile(r"(?:^    (?:foldwright|python|torchrun|make|pip) .*\n)+", re.MULTILINE)
_CODE_SPAN = re.compile(r"`([^`\n]+)`")
_OPTION = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]*")
_QUOTED = re.compile(r"\"[^\"\n]*\"")
_PROGRAMS = ("foldwright", "python", "torchrun", "make", "pip")


@dataclass(frozen=True)
class Block:
    """A fenced or indented block: its page, its number on the page from 0, language, text."""

    page: str
    number: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}[{self.number}]"


@dataclass(frozen=True)
class Command:
    """One line that a reader may type."""

    page: str
    line: str

    @property
    def words(self) -> list[str]:
        return shlex.split(self.line, comments=True)

    def __str__(self) -> str:
        return f"{self.page}: {self.line.partition('  #')[0].strip()}"


def blocks() -> list[Block]:
    """All blocks of all pages, in reading order."""
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        matches = [*_FENCED.finditer(text), *_INDENTED.finditer(_FENCED.sub(_blank, text))]
        for number, match in enumerate(sorted(matches, key=lambda match: match.start())):
            parts = match.groupdict()
            language, inner = parts.get("language", ""), parts.get("text", match[0])
            name = page.relative_to(ROOT).as_posix()
            found.append(Block(name, number, language, inner))
    return found


def commands() -> list[Command]:
    """Lines of shell blocks and cells of tables that call a program of ours."""
    found = [
        Command(block.page, line.strip())
        for block in blocks()
        if block.language in ("", "bash", "sh", "console")
        for line in block.text.replace("\\\n", " ").splitlines()
        if line.strip().startswith(tuple(f"{program} " for program in _PROGRAMS))
    ]
    cells = [span for span in code_spans() if span.in_table and span.line.startswith("foldwright ")]
    return list(dict.fromkeys([*found, *(Command(cell.page, cell.line) for cell in cells)]))


@dataclass(frozen=True)
class CodeSpan(Command):
    """What stands between single backticks, and whether in the row of a table."""

    in_table: bool = False


def code_spans() -> Iterator[CodeSpan]:
    """All of them on all pages, those in blocks apart."""
    for page in PAGES:
        for line in _FENCED.sub("", page.read_text(encoding="utf-8")).splitlines():
            for span in _CODE_SPAN.findall(line):
                yield CodeSpan(page.relative_to(ROOT).as_posix(), span, line.startswith("|"))


def options(text: str) -> list[str]:
    """Words that look like `--option`."""
    return _OPTION.findall(_QUOTED.sub(" ", text))


def _blank(match: re.Match[str]) -> str:
    return " " * len(match[0])
