"""What the long-sequence descendant of Genie adds to the `configuration` files.

Its program read some of these words, chose networks by `useFlashMode` and `useMHCMode`, and never
read others, model compression among them. Here a word does what it says.
"""

from collections.abc import Mapping
from typing import Any

from foldwright.nn.layer_sharing import CHOICES, layer_order
from foldwright.runtime.errors import Problem

NUMBERS: dict[str, tuple[str, type]] = {
    "zFactorRank": ("pair_rank", int),
    "kNeighbors": ("pair_neighbours", int),
    "mhcExpansionRate": ("residual_streams", int),
    "mhcSinkhornIters": ("sinkhorn_iterations", int),
    "useGradientCheckpointing": ("checkpoint_pairs", bool),
}
"""Keys with the setting they stand for; the switches below can leave them without effect."""
_SWITCHES = (
    "useFlashMode",
    "useFactorizedPairs",
    "useSparseKNN",
    "useMHCMode",
    "useAxialAttention",
    "useModelCompression",
)
KEYS = (*NUMBERS, *_SWITCHES, "compressionStrategy")
_DEFAULT_STREAMS = 4
_NEEDS_STREAMS = "counts with useMHCMode True, in the original too"


def translate_long_keys(
    pairs: Mapping[str, str], values: dict[str, Any], place: str, problems: list[Problem]
) -> list[str]:
    """Complete settings whose numbers are converted; return the lines without effect.

    Pairs are sparse with `useSparseKNN`, else factorised where a rank is named or a mode asks for
    it. Residual streams belong to `useMHCMode`, which has four where the file is silent.

    Args:
        pairs: keys and values of the file.
        values: settings of the network by name; is changed.
        place: what problems call the file.
        problems: gets what cannot be translated.
    """
    on = {key: _switch(pairs, key, place, problems) for key in _SWITCHES}
    without_effect = []
    if on["useSparseKNN"]:
        values["pair"] = "sparse"
    elif on["useFactorizedPairs"] or on["useFlashMode"] or "pair_rank" in values:
        values["pair"] = "factorized"
    if on["useAxialAttention"]:
        values["triangle_attention"] = "axial"
    if on["useMHCMode"]:
        values.setdefault("residual_streams", _DEFAULT_STREAMS)
    else:
        for key in ("mhcExpansionRate", "mhcSinkhornIters"):
            if values.pop(NUMBERS[key][0], None) is not None:
                without_effect.append(f"{key} {pairs[key]}: {_NEEDS_STREAMS}")
    strategy = pairs.get("compressionStrategy")
    if strategy is not None and not on["useModelCompression"]:
        without_effect.append(f"compressionStrategy {strategy}: counts with useModelCompression")
    elif strategy is not None:
        try:
            layer_order(strategy, 0)
            values["layer_sharing"] = strategy
        except ValueError:
            message = f"found {strategy!r}, expected {CHOICES}"
            problems.append(Problem(f"{place}: compressionStrategy", message))
    return without_effect


def _switch(pairs: Mapping[str, str], key: str, place: str, problems: list[Problem]) -> bool:
    text = pairs.get(key, "False")
    if text not in ("True", "False", "None"):
        problems.append(Problem(f"{place}: {key}", f"found {text!r}, expected bool"))
    return text == "True"
