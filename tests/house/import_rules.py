"""Rules about imports: down the layers only, no cycles, nothing unreached."""

from collections.abc import Iterable, Sequence

from tests.house.source_tree import Module, imports_of

LAYERS: tuple[tuple[str, ...], ...] = (
    ("chem", "runtime"),
    ("geometry", "sequence"),
    ("structure",),
    ("nn", "diffusion"),
    ("data", "interop"),
    ("models.backbone", "models.peptide", "models.fold"),
    ("training", "evaluation"),
    ("cli",),
)
"""Rooms from the lowest layer to the highest; docs/architecture.md explains them."""

ENTRIES = ("__init__", "__main__", "cli.main")
"""Where use of the package begins."""


def layer_problems(modules: Sequence[Module], package: str) -> list[str]:
    """Imports that go up, or sideways between rooms of one layer."""
    problems = []
    for module, target, line in _inner_imports(modules):
        here, there = _room(module, package), _room(target, package)
        if here == there or not there:
            continue
        if not here and module not in _entry_names(package):
            problems.append(f"{module} is in no room of the layer list")
        elif here and _layer(there) >= _layer(here):
            direction = "sideways" if _layer(there) == _layer(here) else "up"
            problems.append(f"{module}:{line} imports {direction}: {target}")
    return problems


def models_in_training_or_evaluation(modules: Sequence[Module], package: str) -> list[str]:
    """Imports of models by the layer above that must not know them."""
    return [
        f"{module}:{line} imports a model: {target}"
        for module, target, line in _inner_imports(modules)
        if _room(module, package) in ("training", "evaluation")
        and _room(target, package).startswith("models")
    ]


def cycle_problems(modules: Sequence[Module]) -> list[str]:
    """Modules that import one another in a circle, each circle once."""
    graph: dict[str, set[str]] = {module.name: set() for module in modules}
    for module, target, _ in _inner_imports(modules):
        # a package that gathers its own modules is not a circle with their mention of its name
        if module != target and not module.startswith(f"{target}."):
            graph[module].add(target)
    reach = {name: _reachable([name], graph) - {name} for name in graph}
    return [
        f"{name} imports itself through {other}"
        for name in graph
        for other in sorted(reach[name])
        if name < other and name in reach[other]
    ]


def unreached_modules(modules: Sequence[Module], package: str) -> list[str]:
    """Modules that no use of the package ever imports; tests do not count as use."""
    graph: dict[str, set[str]] = {module.name: set() for module in modules}
    for module, target, _ in _inner_imports(modules):
        graph[module].add(target)
    for name in graph:
        parent = name.rpartition(".")[0]
        if parent in graph:  # importing a module runs the packages above it
            graph[name].add(parent)
    reached = _reachable([name for name in _entry_names(package) if name in graph], graph)
    empty = {module.name for module in modules if module.is_package and len(module.tree.body) <= 1}
    return sorted(set(graph) - reached - empty)


def foreign_import_problems(modules: Sequence[Module], library: str, home: str) -> list[str]:
    """Imports of a library outside the one module that may know it."""
    known = {module.name for module in modules}
    return [
        f"{module.name}:{found.line} imports {found.target}; only {home} may"
        for module in modules
        if module.name != home
        for found in imports_of(module, known)
        if found.target.split(".")[0] == library
    ]


def _inner_imports(modules: Sequence[Module]) -> list[tuple[str, str, int]]:
    known = {module.name for module in modules}
    return [
        (module.name, found.target, found.line)
        for module in modules
        for found in imports_of(module, known)
        if found.target in known
    ]


def _entry_names(package: str) -> list[str]:
    return [package if entry == "__init__" else f"{package}.{entry}" for entry in ENTRIES]


def _room(module: str, package: str) -> str:
    inner = module.removeprefix(package).removeprefix(".")
    rooms = [room for layer in LAYERS for room in layer]
    return next((room for room in rooms if inner == room or inner.startswith(f"{room}.")), "")


def _layer(room: str) -> int:
    return next(index for index, layer in enumerate(LAYERS) if room in layer)


def _reachable(starts: Iterable[str], graph: dict[str, set[str]]) -> set[str]:
    reached: set[str] = set()
    waiting = [target for start in starts for target in graph[start] | {start}]
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting.extend(graph[name])
    return reached
