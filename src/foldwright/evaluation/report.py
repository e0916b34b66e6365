"""One self-contained page about a set of designs, to be opened without a network."""

import base64
import json
import tempfile
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path

import numpy as np
from jinja2 import Environment, StrictUndefined

from foldwright import __version__
from foldwright.evaluation.figure import draw_traces, trace_colours
from foldwright.evaluation.folder import FolderEvaluation, ScoredDesign
from foldwright.evaluation.metrics import METRICS, Metric
from foldwright.evaluation.natural import load_natural
from foldwright.evaluation.plots import draw_distributions
from foldwright.evaluation.scores import Value
from foldwright.evaluation.tables import summary_record
from foldwright.runtime.files import write_atomic
from foldwright.runtime.partials import remove_partials
from foldwright.structure.io import write_structure
from foldwright.structure.records import Chain, Structure
from foldwright.structure.secondary import secondary_structure

REPORT_NAME = "report.html"
MOST_STRUCTURES = 100
"""Structures inside a page; each takes some 300 bytes per residue."""

MOST_PICTURES = 8
_COLOURS = 64
_COLUMNS = (
    "length",
    "bond_share",
    "clashes_36",
    "radius_of_gyration",
    "rg_in_band",
    "helix",
    "strand",
    "mirror_dihedral_share",
    "left_helices",
    "contacts",
    "contact_order",
)


def write_report(evaluation: FolderEvaluation, path: Path) -> None:
    """Write a page with summary, distributions, a table of designs and a 3-D viewer.

    The page needs no other file and no network. It holds the structures of the first 100 designs
    and says so where there are more. Names are escaped wherever they stand.
    """
    remove_partials(path.parent, path.name)
    write_atomic(path, render_report(evaluation))


def draw_first_designs(designs: Sequence[ScoredDesign], path: Path) -> None:
    """Draw the first eight designs without missing residues, with their names.

    Raises:
        InputError: no design is complete, or the suffix is neither PNG nor SVG.
    """
    drawn = [design for design in designs if design.scores.missing_ca == 0][:MOST_PICTURES]
    traces = [design.chain.ca for design in drawn]
    draw_traces(traces, path, labels=[design.scores.name for design in drawn])


def render_report(evaluation: FolderEvaluation) -> str:
    """Return the page as text; equal designs give equal pages."""
    designs = evaluation.designs
    template = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    template.filters |= {"value": _shown, "quantity": _quantity}
    shown = designs[:MOST_STRUCTURES]
    return template.from_string(_resource("templates/report.html.j2")).render(
        title=evaluation.folder.resolve().name,
        version=__version__,
        record=summary_record(evaluation),
        plots=draw_distributions(designs, load_natural()) if designs else "",
        picture=_picture(designs),
        columns=[_column(key) for key in _COLUMNS],
        rows=[design.scores.row() for design in designs],
        structures=[_embedded(design) for design in shown],
        palette=_palette(),
        viewer_script=_resource("viewer/3Dmol-min.js"),
        viewer_licence=_resource("viewer/3Dmol-LICENSE"),
        viewer_source=json.loads(_resource("viewer/3Dmol.json")),
    )


def _embedded(design: ScoredDesign) -> dict[str, str | bool]:
    """What the viewer needs of a design: backbone as PDB text and secondary structure."""
    coords = design.chain.backbone()
    coords = coords[~np.isnan(coords).any(axis=-1).all(axis=-1)]
    chain = Chain.from_backbone(coords)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "design.pdb"
        write_structure(Structure("design", (chain,)), path)
        text = path.read_text()
    return {
        "name": design.scores.name,
        "pdb": text,
        "secondary": secondary_structure(chain.ca),
        "cartoon": not np.isnan(coords).any(),
    }


def _picture(designs: Sequence[ScoredDesign]) -> str:
    """PNG of the first designs as the text of a data address; empty if none is complete."""
    if not any(design.scores.missing_ca == 0 for design in designs):
        return ""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "designs.png"
        draw_first_designs(designs, path)
        return base64.b64encode(path.read_bytes()).decode()


def _palette() -> list[str]:
    return [
        "#" + "".join(f"{round(255 * part):02x}" for part in colour)
        for colour in trace_colours(_COLOURS)
    ]


def _column(key: str) -> Metric:
    known_metrics = {metric.key: metric for metric in METRICS}
    return known_metrics.get(key, Metric(key, key.replace("_", " ")))


def _shown(value: Value, unit: str = "") -> str:
    """A value of one design as people read it."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, str) else _quantity(value, unit)


def _quantity(value: int | float | None, unit: str) -> str:
    if value is None:
        return "-"
    return f"{100 * value:.1f} %" if unit == "%" else f"{value:.4g} {unit}".rstrip()


@cache
def _resource(name: str) -> str:
    return files("foldwright.evaluation").joinpath(name).read_text(encoding="utf-8")
