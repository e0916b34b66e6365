"""Walks through a network and names the tensors of a checkpoint that its parameters come from."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from torch import nn

from foldwright.models.fold.weights.assembly import Assembly, chosen, same, stacked

Found = Iterator[tuple[str, Assembly]]


@dataclass(frozen=True)
class Rows:
    """Matrices that stand one above the other in ours."""

    suffixes: tuple[str, ...]


@dataclass(frozen=True)
class Columns:
    """A matrix or norm whose columns have another order in ours; `order` names it."""

    suffix: str
    order: str


Suffix = str | Rows | Columns | tuple[str, Mapping[str, str]]
"""What a child's path has in addition; with its own table where it is not that of its class.

In lists `{index}` counts the members from 0, `{number}` from 1, and `{odd}` counts 1, 3, 5 ...
"""


@dataclass(frozen=True)
class Naming:
    """Names of a family: of the children of each class, and classes that name their own way."""

    tables: Mapping[type[nn.Module], Mapping[str, Suffix]]
    special: Mapping[type[nn.Module], "Special"]
    orders: Mapping[str, tuple[int, ...]]

    def assemblies(self, module: nn.Module, name: str, path: str) -> Found:
        """Yield every parameter of `module`, ours beginning with `name`, theirs with `path`."""
        if type(module) in self.special:
            yield from self.special[type(module)](module, name, path, self)
        else:
            yield from self.children(module, name, path, self.tables[type(module)])

    def children(
        self, module: nn.Module, name: str, path: str, table: Mapping[str, Suffix]
    ) -> Found:
        """Yield the parameters of the children named in `table`, in the network's order."""
        for own, _ in module.named_parameters(recurse=False):
            suffix = table[own]
            assert isinstance(suffix, str)
            yield joined(name, own), same(joined(path, suffix))
        for child_name, child in module.named_children():
            if child_name not in table or not any(True for _ in child.parameters()):
                continue
            suffix, full = table[child_name], joined(name, child_name)
            if isinstance(child, nn.ModuleList):
                assert isinstance(suffix, str)
                for index, member in enumerate(child):
                    where = suffix.format(index=index, number=index + 1, odd=2 * index + 1)
                    yield from self._child(member, f"{full}.{index}", path, where)
            else:
                yield from self._child(child, full, path, suffix)

    def _child(self, module: nn.Module, name: str, path: str, suffix: Suffix) -> Found:
        if isinstance(module, nn.Linear | nn.LayerNorm):
            for own, _ in module.named_parameters(recurse=False):
                yield joined(name, own), self._leaf(path, suffix, own)
        elif isinstance(suffix, tuple):
            yield from self.children(module, name, joined(path, suffix[0]), suffix[1])
        else:
            assert isinstance(suffix, str)
            yield from self.assemblies(module, name, joined(path, suffix))

    def _leaf(self, path: str, suffix: Suffix, own: str) -> Assembly:
        if isinstance(suffix, Rows):
            return stacked(*(joined(path, part, own) for part in suffix.suffixes))
        if isinstance(suffix, Columns):
            return chosen(joined(path, suffix.suffix, own), self.orders[suffix.order])
        assert isinstance(suffix, str)
        return same(joined(path, suffix, own))


Special = Callable[[nn.Module, str, str, Naming], Found]
"""Yields the parameters of a module: of the module, our name, their path, and the naming."""


def joined(*parts: str) -> str:
    """Join the parts of a name with dots, leaving out empty ones."""
    return ".".join(part for part in parts if part)
