"""Which record holds which parameter of the network, and how it is laid out there."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from foldwright.models.fold.network.grid_attention import GridAttention
from foldwright.models.fold.network.msa import OuterProductMean
from foldwright.models.fold.weights.layout_tables import TABLES, Suffix
from foldwright.nn.triangle import TriangleMultiplication

Order = Literal["columns", "rows", "even", "odd", "vector"]
"""How a record's values become a parameter.

`columns`: [in, out ...] to a weight [out, in]; `rows`: [out ..., in] already; `even` and `odd`:
every second column of `columns`; `vector`: flattened.
"""

UNUSED = tuple(
    f"diffuser/{scope}_{name}:weights"
    for scope in ("evoformer_conditioning", "~/diffusion_head/diffusion")
    for name in (
        "embed_pair_distances",
        "embed_pair_offsets",
        "single_to_pair_cond_col",
        "single_to_pair_cond_row",
    )
)
"""Records that feed an intermediate nobody reads; their twins with `_1` do the work."""


@dataclass(frozen=True)
class Source:
    """A record, the place on its leading axes, and its order."""

    record: str
    place: tuple[int, ...]
    order: Order

    def read(self, stored: Tensor, shape: torch.Size) -> Tensor:
        """Return the parameter with the wanted shape from the record's values."""
        values = stored[self.place]
        if self.order in ("vector", "rows"):
            return values.reshape(shape)
        flat = values.reshape(shape[1], -1)
        if self.order in ("even", "odd"):
            flat = flat[:, int(self.order == "odd") :: 2]
        return flat.T.reshape(shape)

    def stored_shape(self, stored: Tensor) -> tuple[int, ...]:
        """Shape of one place of the record."""
        return tuple(stored.shape[len(self.place) :])


def parameter_sources(module: nn.Module, path: str) -> dict[str, Source | None]:
    """Return where every parameter of `module`, whose records begin with `path`, comes from.

    None stands for a constant zero: the triangle multiplication has biases that the published
    parameters do not have.
    """
    return dict(_walk(module, "", path, ()))


_Found = Iterator[tuple[str, Source | None]]


def _walk(
    module: nn.Module,
    name: str,
    path: str,
    place: tuple[int, ...],
    own: Mapping[str, Suffix] | None = None,
) -> _Found:
    if isinstance(module, TriangleMultiplication):
        yield from _triangle(module, name, path, place)
        return
    table = TABLES[type(module)] if own is None else own
    for child_name, child in module.named_children():
        if not any(True for _ in child.parameters()):
            continue
        found = table[child_name]
        suffix, inner = (found, None) if isinstance(found, str) else found
        full = f"{name}{child_name}"
        if isinstance(child, nn.ModuleList):
            for index, member in enumerate(child):
                where, at = _member(path + suffix, index, place)
                yield from _visit(member, f"{full}.{index}", where, at, inner)
        elif isinstance(module, OuterProductMean) and child_name == "out":
            yield f"{full}.weight", Source(f"{path}:output_w", place, "columns")
            yield f"{full}.bias", Source(f"{path}:output_b", place, "vector")
        elif isinstance(module, GridAttention) and child_name in ("query", "key", "gate"):
            yield f"{full}.weight", Source(f"{path}{suffix}:weights", place, "rows")
        else:
            yield from _visit(child, full, path + suffix, place, inner)


def _visit(
    module: nn.Module,
    name: str,
    path: str,
    place: tuple[int, ...],
    own: Mapping[str, Suffix] | None,
) -> _Found:
    if isinstance(module, nn.Linear | nn.LayerNorm):
        yield from _leaf(module, name, path, place)
    else:
        yield from _walk(module, f"{name}.", path, place, own)


def _leaf(module: nn.Linear | nn.LayerNorm, name: str, path: str, place: tuple[int, ...]) -> _Found:
    if isinstance(module, nn.Linear):
        yield f"{name}.weight", Source(f"{path}:weights", place, "columns")
        bias = "bias"
    else:
        yield f"{name}.weight", Source(f"{path}:scale", place, "vector")
        bias = "offset"
    if module.bias is not None:
        yield f"{name}.bias", Source(f"{path}:{bias}", place, "vector")


def _member(path: str, index: int, place: tuple[int, ...]) -> tuple[str, tuple[int, ...]]:
    """Path and place of one member of a list of modules."""
    if "{index}" in path or "{number}" in path:
        return path.replace("{index}", str(index)).replace("{number}", str(index + 1)), place
    parts = path.split("/")
    owner = next((part for part in reversed(parts[:-1]) if not part.startswith("__")), "")
    return path.replace("{module}", owner), (*place, index)


def _triangle(
    module: TriangleMultiplication, name: str, path: str, place: tuple[int, ...]
) -> _Found:
    """Even columns of the joint projection are the left factor, odd ones the right.

    Incoming edges sum left_kj right_ki there and a_ki b_kj here: the factors change places.
    """
    first: Order = "even" if module.direction == "outgoing" else "odd"
    second: Order = "odd" if module.direction == "outgoing" else "even"
    weights: dict[str, tuple[str, Order]] = {
        "linear_a_p": ("projection", first),
        "linear_a_g": ("gate", first),
        "linear_b_p": ("projection", second),
        "linear_b_g": ("gate", second),
        "linear_g": ("gating_linear", "columns"),
        "linear_z": ("output_projection", "columns"),
    }
    for child, (record, order) in weights.items():
        yield f"{name}{child}.weight", Source(f"{path}/{record}:weights", place, order)
        if getattr(module, child).bias is not None:
            yield f"{name}{child}.bias", None
    norms = {"layer_norm_in": "left_norm_input", "layer_norm_out": "center_norm"}
    for child, record in norms.items():
        yield f"{name}{child}.weight", Source(f"{path}/{record}:scale", place, "vector")
        yield f"{name}{child}.bias", Source(f"{path}/{record}:offset", place, "vector")
