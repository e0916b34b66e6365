from pathlib import Path

import pytest

from foldwright.evaluation.peptides.drawing import draw_peptides
from foldwright.evaluation.peptides.sets import describe
from foldwright.runtime.errors import InputError
from tests.evaluation.peptides.sample_peptides import draw_alternating


def test_equal_peptides_give_equal_pictures_and_others_do_not(tmp_path: Path):
    here, real = (describe(draw_alternating(30, name=name)) for name in ("here", "real"))
    for name, one, other in (("a", here, real), ("b", here, real), ("c", real, here)):
        draw_peptides(one, other, tmp_path / f"{name}.svg")
    first, second, third = ((tmp_path / f"{name}.svg").read_bytes() for name in "abc")
    assert first == second != third
    assert b"charge at pH 7" in first
    assert b">real<" in first
    draw_peptides(here, None, tmp_path / "alone.png")
    assert (tmp_path / "alone.png").read_bytes().startswith(b"\x89PNG")


def test_other_pictures_are_refused(tmp_path: Path):
    with pytest.raises(InputError, match=r"ends in '.jpg'; pictures are .png or .svg"):
        draw_peptides(describe(["KLK"]), None, tmp_path / "a.jpg")
