"""Generated peptides over real ones: lengths, composition, charge against hydrophobicity."""

from collections.abc import Callable, Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from foldwright.evaluation.figure import SVG_STYLE
from foldwright.evaluation.peptides.evaluation import LEAST_FOR_DISTANCES
from foldwright.evaluation.peptides.properties import PROPERTIES
from foldwright.evaluation.peptides.sets import DescribedPeptides
from foldwright.evaluation.plots import HERE, NATURE
from foldwright.runtime.errors import InputError, Problem
from foldwright.runtime.files import atomic_path
from foldwright.sequence.residues import RESIDUES

_STYLE = {**SVG_STYLE, "font.size": 9}
_METADATA: dict[str, dict[str, None]] = {".png": {}, ".svg": {"Date": None}}
_MOST_POINTS = 1500


def draw_peptides(peptides: DescribedPeptides, real: DescribedPeptides | None, path: Path) -> None:
    """Draw a PNG or SVG picture; equal peptides give equal files.

    Raises:
        InputError: the suffix is another one, or the file cannot be written.
    """
    if path.suffix not in _METADATA:
        message = f"ends in {path.suffix!r}; pictures are .png or .svg"
        raise InputError(Problem(str(path), message))
    figure = Figure(figsize=(11.5, 3.4), layout="constrained")
    panels: tuple[Callable[[Axes, Sequence[tuple[str, str, DescribedPeptides]]], None], ...]
    panels = (_draw_lengths, _draw_composition, _draw_charge)
    sets = [("here", HERE, peptides)]
    if real is not None:
        sets.insert(0, ("real", NATURE, real))
    with matplotlib.rc_context(_STYLE):
        for axes, draw in zip(figure.subplots(1, 3).flat, panels, strict=True):
            draw(axes, sets)
            axes.spines[["top", "right"]].set_visible(False)
        with atomic_path(path) as temporary:
            figure.savefig(temporary, dpi=150, metadata=_METADATA[path.suffix])


def _draw_lengths(axes: Axes, sets: Sequence[tuple[str, str, DescribedPeptides]]) -> None:
    longest = max(int(one.packed.lengths.max()) for _, _, one in sets)
    edges = np.arange(0.5, longest + 1.5)
    for name, colour, one in sets:
        shares = np.histogram(one.packed.lengths, edges)[0] / len(one)
        filled = name == "real"
        axes.stairs(shares, edges, color=colour, fill=filled, alpha=0.5 if filled else 1.0)
    axes.set(xlabel="residues", ylabel="share of peptides")


def _draw_composition(axes: Axes, sets: Sequence[tuple[str, str, DescribedPeptides]]) -> None:
    width = 0.8 / len(sets)
    for number, (name, colour, one) in enumerate(sets):
        counts = one.packed.residue_counts().sum(axis=0)
        places = np.arange(len(RESIDUES)) + (number - (len(sets) - 1) / 2) * width
        axes.bar(places, counts / counts.sum(), width, color=colour, label=name)
    axes.set_xticks(range(len(RESIDUES)), list(RESIDUES))
    axes.set(ylabel="share of residues")
    axes.legend(frameon=False)


def _draw_charge(axes: Axes, sets: Sequence[tuple[str, str, DescribedPeptides]]) -> None:
    columns = PROPERTIES.index("hydrophobicity"), PROPERTIES.index("charge")
    for _, colour, one in sets:
        points = one.properties[:_MOST_POINTS, columns]
        size = 6 if len(one) >= LEAST_FOR_DISTANCES else 20
        axes.scatter(points[:, 0], points[:, 1], s=size, color=colour, alpha=0.5, lw=0)
    axes.set(xlabel="hydrophobicity (Eisenberg)", ylabel="charge at pH 7")
