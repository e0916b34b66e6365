from collections import Counter
from pathlib import Path

import pytest
from pydantic import ValidationError

from foldwright.data.clusters import (
    SplitSettings,
    find_cluster,
    read_clusters,
    split_of_cluster,
)
from foldwright.runtime.errors import InputError


def write(folder: Path, text: str) -> Path:
    path = folder / "clusters"
    path.write_text(text)
    return path


def test_mmseqs_table(tmp_path: Path) -> None:
    path = write(tmp_path, "1abc_A\t1abc_A\n1abc_A\t2xyz_B\n3def_C\t3def_C\n\n")
    expected = {"1abc_A": "1abc_A", "2xyz_B": "1abc_A", "3def_C": "3def_C"}
    assert read_clusters(path) == expected


def test_csv_table(tmp_path: Path) -> None:
    path = write(tmp_path, 'length,name,cluster\n4,1abc_A,7\n5,"2x,y_B",7\n')
    assert read_clusters(path) == {"1abc_A": "7", "2x,y_B": "7"}


def test_all_bad_lines_are_told(tmp_path: Path) -> None:
    path = write(tmp_path, "a\tb\na\n\tc\nx\tb\n")
    with pytest.raises(InputError) as caught:
        read_clusters(path)
    places = [problem.place.rsplit(", ")[-1] for problem in caught.value.problems]
    assert places == ["line 2", "line 3", "line 4"]
    assert "'b' is in the clusters 'a' and 'x'; keep one" in str(caught.value)


def test_a_table_of_something_else(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="got the heading 'chain,family'; expected CSV"):
        read_clusters(write(tmp_path, "chain,family\na,b\n"))
    with pytest.raises(InputError, match="cannot be read"):
        read_clusters(tmp_path / "absent")


def test_shares_hold_on_average() -> None:
    settings = SplitSettings(validation_fraction=0.1, test_fraction=0.2)
    counts = Counter(split_of_cluster(f"c{number}", settings) for number in range(4000))
    # Five standard deviations of a binomial.
    assert counts["val"] == pytest.approx(400, abs=95)
    assert counts["test"] == pytest.approx(800, abs=127)


def test_a_split_depends_on_name_and_seed_only() -> None:
    names = [f"c{number}" for number in range(200)]
    here = [split_of_cluster(name, SplitSettings(validation_fraction=0.4)) for name in names]
    again = [split_of_cluster(name, SplitSettings(validation_fraction=0.4)) for name in names]
    other = [
        split_of_cluster(name, SplitSettings(validation_fraction=0.4, seed=1)) for name in names
    ]
    assert here == again
    assert here != other


def test_a_fraction_of_zero_is_none() -> None:
    settings = SplitSettings(validation_fraction=0, test_fraction=0)
    assert {split_of_cluster(str(number), settings) for number in range(500)} == {"train"}


def test_a_larger_validation_set_keeps_the_test_set() -> None:
    small, large = (SplitSettings(validation_fraction=share) for share in (0.05, 0.5))
    for number in range(300):
        was, became = (split_of_cluster(str(number), which) for which in (small, large))
        assert became == was or (was, became) == ("train", "val")


def test_something_must_be_left_to_train_on() -> None:
    with pytest.raises(ValidationError, match=r"less than 1, got 0\.5 \+ 0\.5"):
        SplitSettings(validation_fraction=0.5, test_fraction=0.5)


def test_the_first_known_name_counts() -> None:
    clusters = {"1abc_A": "x", "1abc": "y"}
    assert find_cluster(clusters, ["1abc_A_2", "1abc_A", "1abc"]) == "x"
    assert find_cluster(clusters, ["2abc_A"]) is None
