"""Pictures of C-alpha traces: shaded tubes, coloured from blue (N) to red (C)."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
from jaxtyping import Bool, Float, Int
from matplotlib import colormaps
from matplotlib.figure import Figure

from foldwright.runtime.errors import InputError
from foldwright.runtime.files import atomic_path

PALETTE = "turbo"

SVG_STYLE = {"svg.fonttype": "none", "svg.hashsalt": "foldwright"}
"""Text stays text, and equal pictures are equal files."""

# Without a date, equal traces give equal files.
_METADATA: dict[str, dict[str, None]] = {".png": {}, ".svg": {"Date": None}}

_TUBE_RADIUS = 0.9
_MARGIN = 2.5
# Turbo is nearly black at its ends.
_PALETTE_RANGE = (0.08, 0.92)
_STEPS_PER_RESIDUE = 32
_SUPERSAMPLING = 2
_SMOOTHING = 0.25
_WIDTH = 560
_LIGHT = np.array([-0.35, 0.5, 0.79])
# Between the light and the eye, where a mirror would face to show the lamp.
_HALFWAY = np.array([-0.185, 0.264, 0.946])
_FOG = 0.5
_OUTLINE_DEPTH = 1.2


def draw_traces(
    traces: Sequence[Float[np.ndarray, "_ 3"]],
    path: Path,
    *,
    labels: Sequence[str] = (),
    columns: int = 4,
) -> None:
    """Draw C-alpha traces side by side at one scale, as PNG or SVG by the suffix.

    Each trace is turned so that its longest axes lie in the picture; it is never mirrored.

    Args:
        traces: positions in Å, without missing residues, four residues or more each.
        path: the picture.
        labels: a name under each trace, or none.
        columns: pictures in a row.

    Raises:
        InputError: another suffix, no trace, or a trace that is too short or incomplete.
    """
    if path.suffix.lower() not in _METADATA:
        raise InputError(f"{path}: pictures are written as {' or '.join(_METADATA)}")
    curves = [_centre_line(trace) for trace in traces]
    if not curves:
        raise InputError(f"{path}: no trace to draw")
    half_width, half_height = (
        max(np.abs(curve[:, axis]).max() for curve in curves) + _MARGIN for axis in (0, 1)
    )
    columns = min(columns, len(curves))
    rows = -(-len(curves) // columns)
    size = 3.0 * columns, (3.0 * half_height / half_width + (0.3 if labels else 0)) * rows
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for place, (axes, curve) in enumerate(zip(grid.flat, curves, strict=False)):
        axes.imshow(render_tube(curve, half_width, half_height), interpolation="lanczos")
        if labels:
            axes.set_title(labels[place], y=-0.08, fontsize=9, parse_math=False)
    with matplotlib.rc_context(SVG_STYLE), atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=200, metadata=_METADATA[path.suffix.lower()])


def trace_colours(length: int) -> Float[np.ndarray, "n 3"]:
    """Return the colours (0 to 1) of a trace from the N to the C terminus."""
    return colormaps[PALETTE](np.linspace(*_PALETTE_RANGE, length))[:, :3]


def render_tube(
    curve: Float[np.ndarray, "k 3"], half_width: float, half_height: float
) -> Float[np.ndarray, "h w 3"]:
    """Render a tube around a densely sampled curve on white, seen from +z with x to the right.

    Args:
        curve: points in Å, closer to one another than the tube is thick.
        half_width: Å from the middle of the picture to its right edge; the tube must fit.
        half_height: Å from the middle to the top.

    Returns:
        Red, green and blue from 0 to 1, top row first.
    """
    scale = _WIDTH * _SUPERSAMPLING / (2 * half_width)
    shape = (_SUPERSAMPLING * round(_WIDTH * half_height / half_width), _WIDTH * _SUPERSAMPLING)
    rows, columns, facing = _ball(_TUBE_RADIUS * scale)
    depth = np.full(shape, -np.inf)
    owner = np.zeros(shape, dtype=np.int64)
    normal = np.zeros((*shape, 3))
    for index, (x, y, z) in enumerate(curve):
        row = rows + round(shape[0] / 2 - y * scale)
        column = columns + round(shape[1] / 2 + x * scale)
        height = z + facing[:, 2] * _TUBE_RADIUS
        nearer = height > depth[row, column]
        row, column = row[nearer], column[nearer]
        depth[row, column] = height[nearer]
        owner[row, column] = index
        normal[row, column] = facing[nearer]
    return _shrink(_shade(trace_colours(len(curve))[owner], normal, depth))


def _ball(
    radius: float,
) -> tuple[Int[np.ndarray, " p"], Int[np.ndarray, " p"], Float[np.ndarray, "p 3"]]:
    """Pixels of a ball seen from the front: rows, columns and the directions they face."""
    reach = int(np.ceil(radius))
    rows, columns = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    inside = rows**2 + columns**2 < radius**2
    rows, columns = rows[inside], columns[inside]
    toward = np.sqrt(radius**2 - rows**2 - columns**2)
    return rows, columns, np.stack([columns, -rows, toward], axis=-1) / radius


def _shade(
    colours: Float[np.ndarray, "h w 3"],
    normal: Float[np.ndarray, "h w 3"],
    depth: Float[np.ndarray, "h w"],
) -> Float[np.ndarray, "h w 3"]:
    """Light the tube from the upper left, fade it with depth, outline what lies in front."""
    drawn = np.isfinite(depth)
    near, far = depth[drawn].max(), depth[drawn].min()
    diffuse = np.clip(normal @ _LIGHT, 0, 1)
    highlight = np.clip(normal @ _HALFWAY, 0, 1) ** 40
    lit = colours * (0.45 + 0.6 * diffuse)[..., None] + 0.35 * highlight[..., None]
    lit[_edges(np.where(drawn, depth, far - 10 * _OUTLINE_DEPTH))] *= 0.25
    fog = _FOG * (near - np.where(drawn, depth, near)) / max(near - far, 1e-6)
    picture = np.clip(lit, 0, 1) * (1 - fog)[..., None] + fog[..., None]
    return np.where(drawn[..., None], picture, 1.0)


def _edges(depth: Float[np.ndarray, "h w"]) -> Bool[np.ndarray, "h w"]:
    """Pixels of which a neighbour, two pixels away, lies clearly behind."""
    edges = np.zeros(depth.shape, dtype=bool)
    for axis in (0, 1):
        for shift in (-_SUPERSAMPLING, _SUPERSAMPLING):
            edges |= depth - np.roll(depth, shift, axis=axis) > _OUTLINE_DEPTH
    return edges


def _shrink(picture: Float[np.ndarray, "h w 3"]) -> Float[np.ndarray, "i j 3"]:
    height, width = (size // _SUPERSAMPLING for size in picture.shape[:2])
    blocks = picture.reshape(height, _SUPERSAMPLING, width, _SUPERSAMPLING, 3)
    return blocks.mean(axis=(1, 3))


def _centre_line(trace: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "k 3"]:
    """Smooth curve along a trace, turned into the plane of the picture."""
    if len(trace) < 4 or not np.isfinite(trace).all():
        missing = int((~np.isfinite(trace).all(axis=-1)).sum())
        raise InputError(
            f"a trace to draw has 4 or more residues, none missing: got {len(trace)}, "
            f"{missing} missing"
        )
    return _turn_flat(_spline(trace.astype(np.float64)))


def _spline(points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "k 3"]:
    """Uniform Catmull-Rom spline through gently smoothed points.

    The smoothing takes the zigzag out of strands and leaves helices their turns.
    """
    smooth = points.copy()
    smooth[1:-1] += _SMOOTHING * (0.5 * (points[2:] + points[:-2]) - points[1:-1])
    ends = 2 * smooth[[0, -1]] - smooth[[1, -2]]
    control = np.concatenate([ends[:1], smooth, ends[1:]])
    before, here, there, after = (control[i : len(control) - 3 + i, None] for i in range(4))
    u = np.linspace(0, 1, _STEPS_PER_RESIDUE, endpoint=False)[:, None]
    curve = here + 0.5 * u * (
        there
        - before
        + u
        * (2 * before - 5 * here + 4 * there - after + u * (3 * (here - there) + after - before))
    )
    return np.concatenate([curve.reshape(-1, 3), smooth[-1:]])


def _turn_flat(curve: Float[np.ndarray, "k 3"]) -> Float[np.ndarray, "k 3"]:
    """Rotate the principal axes into x, y and z, longest first, without mirroring."""
    centred = curve - curve.mean(axis=0)
    axes = np.linalg.svd(centred, full_matrices=False)[2]
    if np.linalg.det(axes) < 0:
        axes[2] *= -1
    turned = centred @ axes.T
    return turned - (turned.max(axis=0) + turned.min(axis=0)) / 2
