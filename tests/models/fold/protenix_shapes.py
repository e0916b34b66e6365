"""Names and shapes of Protenix's parameters, in few bytes: repeated blocks are kept once."""

import gzip
import json
import re
from collections.abc import Mapping, Sequence

from tests.models.fold.family_results import FAMILY_GOLDENS

_FILE = FAMILY_GOLDENS / "protenix_names.json.gz"
_BLOCK = re.compile(r"blocks\.(\d+)\.")

Shapes = Mapping[str, Sequence[int]]


def write_protenix_shapes(networks: Mapping[str, Shapes]) -> None:
    """Keep the shapes of some networks by name."""
    packed = {name: _packed(shapes) for name, shapes in networks.items()}
    data = json.dumps(packed, separators=(",", ":")).encode()
    _FILE.write_bytes(gzip.compress(data, compresslevel=9, mtime=0))


def protenix_shapes(network: str) -> dict[str, tuple[int, ...]]:
    """Shapes of all tensors of a network, by the names in its checkpoints."""
    packed = json.loads(gzip.decompress(_FILE.read_bytes()))[network]
    return {
        name.replace("*", str(index)): tuple(shape)
        for name, (count, shape) in packed.items()
        for index in range(max(count, 1))
    }


def _packed(shapes: Shapes) -> dict[str, tuple[int, list[int]]]:
    """Number of blocks (0 outside of them) and shape for every name without the block's number."""
    packed: dict[str, tuple[int, list[int]]] = {}
    for name, shape in shapes.items():
        found = _BLOCK.search(name)
        general = _BLOCK.sub("blocks.*.", name)
        assert packed.setdefault(general, (0, list(shape)))[1] == list(shape), name
        packed[general] = (int(found[1]) + 1 if found else 0, list(shape))
    return packed
