from pathlib import Path

import numpy as np
import pytest

from foldwright.evaluation.figure import _centre_line, draw_traces, render_tube, trace_colours
from foldwright.evaluation.trace import score_trace
from foldwright.runtime.errors import InputError
from tests.evaluation.conftest import build_trace


def rod(start: tuple[float, float, float], end: tuple[float, float, float]) -> np.ndarray:
    return np.linspace(start, end, 400)


def ink(picture: np.ndarray) -> np.ndarray:
    return (picture < 0.99).any(axis=-1)


def test_a_rod_is_drawn_where_it_is_and_as_thick_as_it_is():
    picture = render_tube(rod((-8, 2, 0), (8, 2, 0)), 10.0, 5.0)
    assert picture.shape == (280, 560, 3)
    rows, columns = np.nonzero(ink(picture))
    # 28 pixels for an Å; y = 2 is above the middle, and the tube reaches 0.9 Å around it.
    assert rows.mean() == pytest.approx(140 - 2 * 28, abs=1)
    assert np.ptp(rows) == pytest.approx(2 * 0.9 * 28, abs=2)
    assert np.ptp(columns) == pytest.approx((16 + 1.8) * 28, abs=2)


def test_colours_run_from_blue_to_red():
    picture = render_tube(rod((-8, 0, 0), (8, 0, 0)), 10.0, 5.0)
    left, right = picture[140, 40], picture[140, 520]
    assert left[2] > left[0]
    assert right[0] > right[2]
    assert trace_colours(5).shape == (5, 3)


@pytest.mark.parametrize(("height", "front_is_red"), [(4.0, True), (-4.0, False)])
def test_what_is_nearer_hides_what_is_behind(height: float, front_is_red: bool):
    # One curve whose blue half runs across and whose red half crosses it.
    across, along = rod((-6, 0, 0), (6, 0, 0)), rod((0, -4, height), (0, 4, height))
    red, _, blue = render_tube(np.concatenate([across, along]), 10.0, 5.0)[140, 280]
    assert bool(red > blue) == front_is_red


def test_traces_are_turned_flat_and_never_mirrored():
    for dihedral in (50, -50):
        trace = build_trace(40, dihedral=dihedral)[:, [2, 0, 1]]
        curve = _centre_line(trace.numpy())
        spread = np.ptp(curve, axis=0)
        assert spread[0] > spread[1] >= spread[2] * 0.8
        scores = score_trace(build_trace(4).new_tensor(curve[::32]))
        right, left = scores.helix_dihedral_share, scores.mirror_dihedral_share
        assert (right, left) == ((1, 0) if dihedral > 0 else (0, 1))


@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_equal_traces_give_equal_files(tmp_path: Path, suffix: str):
    traces = [build_trace(12).numpy(), build_trace(16).numpy()]
    for name in ("a", "b"):
        draw_traces(traces, tmp_path / f"{name}{suffix}", labels=["$one", "two_"], columns=1)
    content = (tmp_path / f"a{suffix}").read_bytes()
    assert content == (tmp_path / f"b{suffix}").read_bytes()
    assert len(content) > 5000


def test_what_cannot_be_drawn_is_said(tmp_path: Path):
    broken = build_trace(12)
    broken[3] = np.nan
    with pytest.raises(InputError, match="got 12, 1 missing"):
        draw_traces([broken.numpy()], tmp_path / "x.png")
    with pytest.raises(InputError, match=r"written as \.png or \.svg"):
        draw_traces([build_trace(12).numpy()], tmp_path / "x.gif")
    with pytest.raises(InputError, match="no trace to draw"):
        draw_traces([], tmp_path / "x.png")
