"""The longest chain by epoch."""

from pathlib import Path

import pytest

from foldwright.data.curriculum import CurriculumConfig, longest_chain
from foldwright.runtime.config import load_config
from foldwright.runtime.errors import InputError


@pytest.mark.parametrize(
    ("shape", "middle"), [("linear", [228, 328]), ("cosine", [187, 328]), ("quadratic", [153, 228])]
)
def test_length_is_held_grows_and_stays(shape: str, middle: list[int]) -> None:
    """From 128 to 528 residues between the epochs 2 and 10."""
    plan = CurriculumConfig.model_validate(
        {"start_length": 128, "hold_epochs": 2, "growth_epochs": 8, "shape": shape}
    )
    assert [longest_chain(plan, epoch, 528) for epoch in (0, 2, 10, 99)] == [128, 128, 528, 528]
    assert [longest_chain(plan, epoch, 528) for epoch in (4, 6)] == middle
    lengths = [longest_chain(plan, epoch, 528) for epoch in range(12)]
    assert lengths == sorted(lengths)


def test_never_longer_than_the_run_allows() -> None:
    plan = CurriculumConfig(start_length=300, growth_epochs=5)
    assert [longest_chain(plan, epoch, 256) for epoch in range(7)] == [256] * 7


def test_read_from_yaml(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("start_length: 64\ngrowth_epochs: 30\nshape: cosine\n")
    assert load_config(CurriculumConfig, path).shape == "cosine"
    with pytest.raises(InputError, match="growth_epochs"):
        load_config(CurriculumConfig, path, ["growth_epochs=0"])
