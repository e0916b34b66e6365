"""A package as its syntax trees: which modules there are and what each one imports."""

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path


@dataclass(frozen=True)
class Import:
    """One imported name: a module of the package, or a name from outside of it."""

    target: str
    line: int


@dataclass(frozen=True)
class Module:
    """One source file with its dotted name."""

    name: str
    path: Path

    @cached_property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, filename=str(self.path))

    @property
    def is_package(self) -> bool:
        return self.path.name == "__init__.py"


def read_modules(source: Path) -> list[Module]:
    """All modules under `source`, the folder that holds the package, sorted by name."""
    modules = []
    for path in sorted(source.rglob("*.py")):
        parts = path.relative_to(source).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        modules.append(Module(name, path))
    return modules


def imports_of(module: Module, known: set[str]) -> list[Import]:
    """Everything a module imports, inside functions too, relative imports resolved.

    `from package import name` counts as the module `package.name` where that is one of `known`,
    else as `package`. A text `package.module:function`, as commands are registered, counts too.
    """
    found = []
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            found.extend(Import(alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(module, node)
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                found.append(Import(inner if inner in known else base, node.lineno))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            target = node.value.partition(":")[0]
            if target in known and "." in target:
                found.append(Import(target, node.lineno))
    return found


def functions_of(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function and method of a tree, nested ones too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def _absolute(module: Module, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    parts = module.name.split(".")
    keep = len(parts) - node.level + (1 if module.is_package else 0)
    return ".".join([*parts[:keep], *([node.module] if node.module else [])])


def hold(problems: Sequence[str]) -> None:
    """Fail with every broken place, not only the first."""
    assert not problems, "\n".join(["this rule is broken:", *problems])
