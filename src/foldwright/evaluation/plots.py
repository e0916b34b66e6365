"""Distributions of a set of designs over those of natural chains, as one SVG picture."""

import io
from collections.abc import Callable, Sequence

import matplotlib
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from foldwright.evaluation.figure import SVG_STYLE
from foldwright.evaluation.folder import ScoredDesign
from foldwright.evaluation.natural import Histogram, NaturalReference
from foldwright.evaluation.trace import (
    CIS_BOND,
    HELIX_DIHEDRALS,
    TRANS_BOND,
    known,
    measure_trace,
)

NATURE, HERE, FORBIDDEN = "#9aa5b1", "#c2410c", "#fde2e2"
_STYLE = {**SVG_STYLE, "font.size": 9}


def draw_distributions(designs: Sequence[ScoredDesign], natural: NaturalReference) -> str:
    """Draw one design or more against nature; returns an `<svg>` element for a page."""
    figure = Figure(figsize=(11.5, 6.4), layout="constrained")
    panels: tuple[Callable[[Axes, Sequence[ScoredDesign], NaturalReference], None], ...] = (
        _draw_size,
        _draw_secondary,
        _draw_contact_order,
        _draw_bonds,
        _draw_angles,
        _draw_dihedrals,
    )
    with matplotlib.rc_context(_STYLE):
        for axes, draw in zip(figure.subplots(2, 3).flat, panels, strict=True):
            draw(axes, designs, natural)
            axes.spines[["top", "right"]].set_visible(False)
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()[text.getvalue().index("<svg") :]


def _draw_size(axes: Axes, designs: Sequence[ScoredDesign], natural: NaturalReference) -> None:
    band = natural.size_band
    axes.fill_between(band.lengths, band.low, band.high, color=NATURE, alpha=0.35, lw=0)
    axes.plot(band.lengths, band.median, color=NATURE, label="natural 5, 50, 95 %")
    lengths = [design.scores.length for design in designs]
    radii = [design.scores.fold.radius_of_gyration for design in designs]
    axes.scatter(lengths, radii, s=14, color=HERE, label="here")
    axes.set_xlim(0.7 * min(lengths), 1.3 * max(lengths))
    shown = [
        height
        for length, height in zip(band.lengths, band.high, strict=True)
        if length <= 1.3 * max(lengths)
    ]
    axes.set_ylim(0, 1.1 * max([*radii, *shown]))
    axes.set(xlabel="residues", ylabel="radius of gyration (Å)")
    axes.legend(frameon=False)


def _draw_secondary(axes: Axes, designs: Sequence[ScoredDesign], natural: NaturalReference) -> None:
    for bin in natural.bins:
        axes.scatter(
            bin.scores["helix"].mean, bin.scores["strand"].mean, marker="s", s=40, color=NATURE
        )
    axes.scatter([], [], marker="s", color=NATURE, label="natural means by length")
    axes.scatter(
        [design.scores.fold.helix for design in designs],
        [design.scores.fold.strand for design in designs],
        s=14,
        color=HERE,
        label="here",
    )
    axes.plot([0, 1], [1, 0], color="black", lw=0.5)
    axes.set(
        xlabel="helix (P-SEA)", ylabel="strand (P-SEA)", xlim=(-0.03, 1.03), ylim=(-0.03, 1.03)
    )
    axes.legend(frameon=False)


def _draw_contact_order(
    axes: Axes, designs: Sequence[ScoredDesign], natural: NaturalReference
) -> None:
    for bin in natural.bins:
        spread = bin.scores["contact_order"]
        axes.fill_between(
            (bin.first, bin.last + 1), spread.low, spread.high, color=NATURE, alpha=0.35, lw=0
        )
        axes.plot((bin.first, bin.last + 1), (spread.median, spread.median), color=NATURE)
    points = [
        (design.scores.length, order)
        for design in designs
        if (order := design.scores.fold.contact_order) is not None
    ]
    axes.scatter([point[0] for point in points], [point[1] for point in points], s=14, color=HERE)
    lengths = [design.scores.length for design in designs]
    axes.set_xlim(0.7 * min(lengths), 1.3 * max(lengths))
    axes.set(xlabel="residues", ylabel="relative contact order")


def _draw_bonds(axes: Axes, designs: Sequence[ScoredDesign], natural: NaturalReference) -> None:
    for low, high in ((0.0, CIS_BOND[0]), (CIS_BOND[1], TRANS_BOND[0]), (TRANS_BOND[1], 9.0)):
        axes.axvspan(low, high, color=FORBIDDEN, lw=0)
    values = [measure_trace(design.ca).bonds for design in designs]
    _draw_histogram(axes, values, natural.histograms["bonds"])
    axes.set(xlabel="CA-CA distance (Å)", yscale="log", ylabel="share")


def _draw_angles(axes: Axes, designs: Sequence[ScoredDesign], natural: NaturalReference) -> None:
    values = [measure_trace(design.ca).angles.rad2deg() for design in designs]
    _draw_histogram(axes, values, natural.histograms["angles_deg"])
    axes.set(xlabel="CA angle (°)", ylabel="share")


def _draw_dihedrals(axes: Axes, designs: Sequence[ScoredDesign], natural: NaturalReference) -> None:
    low, high = np.rad2deg(HELIX_DIHEDRALS)
    axes.axvspan(-high, -low, color=FORBIDDEN, lw=0, label="mirror of helices")
    values = [measure_trace(design.ca).dihedrals.rad2deg() for design in designs]
    _draw_histogram(axes, values, natural.histograms["dihedrals_deg"])
    axes.set(xlabel="CA dihedral (°)", ylabel="share")
    axes.legend(frameon=False)


def _draw_histogram(axes: Axes, values: Sequence[torch.Tensor], natural: Histogram) -> None:
    """Shares of values; those beyond the ends count in the outermost bins."""
    edges = np.linspace(natural.start, natural.stop, len(natural.shares) + 1)
    numbers = known(torch.cat(list(values))).clamp(natural.start, natural.stop).numpy()
    counts = np.histogram(numbers, edges)[0]
    axes.stairs(natural.shares, edges, fill=True, color=NATURE, alpha=0.5)
    axes.stairs(counts / max(counts.sum(), 1), edges, color=HERE)
    axes.set_xlim(natural.start, natural.stop)
