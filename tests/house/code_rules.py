"""Rules about what a module may contain: sizes, names, prints, exceptions, fields."""

import ast
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from tests.house.source_tree import Module, functions_of

MOST_FUNCTION_LINES = 80
MOST_FILE_LINES = 800
MOST_PARAMETERS = 7
WORKPLACE = re.compile(r"(?<![\w.])/(?:work|home|root|tmp/venv)/[\w.]")


def size_problems(modules: Sequence[Module]) -> list[str]:
    """Functions and files that are longer than anyone can read."""
    problems = []
    for module in modules:
        lines = module.text.count("\n")
        if lines > MOST_FILE_LINES:
            problems.append(f"{module.name} has {lines} lines, at most {MOST_FILE_LINES}")
        for function in functions_of(module.tree):
            length = (function.end_lineno or function.lineno) - function.lineno + 1
            if length > MOST_FUNCTION_LINES:
                place = f"{module.name}.{function.name}"
                problems.append(f"{place} has {length} lines, at most {MOST_FUNCTION_LINES}")
    return problems


def parameter_problems(modules: Sequence[Module]) -> list[str]:
    """Functions with too many parameters; those registered as commands are exempt."""
    texts = {
        node.value
        for module in modules
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    return [
        f"{module.name}.{function.name} has {count} parameters, at most {MOST_PARAMETERS}"
        for module in modules
        for function in functions_of(module.tree)
        if (count := _parameter_count(function)) > MOST_PARAMETERS
        and f"{module.name}:{function.name}" not in texts
    ]


def repeated_class_names(modules: Sequence[Module]) -> list[str]:
    """Class names defined in two places; a nested `Config` may repeat."""
    places: dict[str, list[str]] = {}
    for module in modules:
        nested = {
            id(inner)
            for outer in ast.walk(module.tree)
            if isinstance(outer, ast.ClassDef)
            for inner in ast.walk(outer)
            if inner is not outer
        }
        for node in ast.walk(module.tree):
            if not isinstance(node, ast.ClassDef):
                continue
            if not (node.name == "Config" and id(node) in nested):
                places.setdefault(node.name, []).append(f"{module.name}:{node.lineno}")
    return [f"{name}: {', '.join(at)}" for name, at in sorted(places.items()) if len(at) > 1]


def print_problems(modules: Sequence[Module], package: str) -> list[str]:
    """Calls of print outside the command line."""
    return [
        f"{module.name}:{node.lineno} prints"
        for module in modules
        if not module.name.startswith(f"{package}.cli")
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "print"
    ]


def broad_except_problems(modules: Sequence[Module]) -> list[str]:
    """Handlers that catch everything, alone or in a tuple, raised again or not."""
    problems = []
    for module in modules:
        for node in ast.walk(module.tree):
            if not isinstance(node, ast.ExceptHandler):
                continue
            caught = ast.unparse(node.type) if node.type else "everything"
            words = set(re.findall(r"\w+", caught))
            if words & {"everything", "Exception", "BaseException"}:
                problems.append(f"{module.name}:{node.lineno} catches {caught}")
    return problems


def unread_config_fields(modules: Sequence[Module], base: str = "Config") -> list[str]:
    """Fields of configuration classes that no module reads as an attribute.

    A read inside the class (a validator) does not count, nor does an assignment. Fields are
    matched by name: two classes with a field of one name cover one another.
    """
    classes = [
        (module, node)
        for module in modules
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ClassDef)
    ]
    names = {base}
    while True:  # subclasses of subclasses
        more = {node.name for _, node in classes if names & {_last(b) for b in node.bases}}
        if more <= names:
            break
        names |= more
    configs = [(module, node) for module, node in classes if node.name in names - {base}]
    inside = {id(inner) for _, node in configs for inner in ast.walk(node)}
    read = {
        node.attr
        for module in modules
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.ctx, ast.Load)
        and id(node) not in inside
    }
    return [
        f"{module.name}.{node.name}.{field}"
        for module, node in configs
        for field in _fields(node)
        if field not in read
    ]


def workplace_problems(paths: Iterable[Path], root: Path) -> list[str]:
    """Lines of text files that name a folder which only the author's machine has."""
    problems = []
    for path in paths:
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError:  # an array or weights
            continue
        for number, line in enumerate(lines, start=1):
            if WORKPLACE.search(line):
                problems.append(f"{path.relative_to(root)}:{number}: {line.strip()[:80]}")
    return problems


def _parameter_count(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    given = function.args
    names = [p.arg for p in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
    return len([name for name in names if name not in ("self", "cls")])


def _last(base: ast.expr) -> str:
    return ast.unparse(base).partition("[")[0].rpartition(".")[2]


def _fields(node: ast.ClassDef) -> list[str]:
    return [
        line.target.id
        for line in node.body
        if isinstance(line, ast.AnnAssign)
        and isinstance(line.target, ast.Name)
        and not line.target.id.startswith("_")
        and "ClassVar" not in ast.unparse(line.annotation)
    ]
