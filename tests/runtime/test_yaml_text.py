import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foldwright.runtime.errors import InputError
from foldwright.runtime.yaml_text import parse_yaml, to_yaml

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["C"])),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(exclude_categories=["C"])), inner, max_size=3)
    ),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2e-4", 2e-4),
        ("-1E3", -1000.0),
        ("1.", 1.0),
        (".5", 0.5),
        ("-.inf", -math.inf),
        ("010", 10),
        ("+7", 7),
        ("true", True),
        ("null", None),
        ("", None),
        ("~", None),
        ("no", "no"),
        ("on", "on"),
        ("12:30", "12:30"),
        ("64-96", "64-96"),
        ("1_000", "1_000"),
        ("2026-11-21", "2026-11-21"),
        ("e5", "e5"),
        ("'2e-4'", "2e-4"),
        ("[64, 1e2]", [64, 100.0]),
    ],
)
def test_scalars_are_what_a_person_means(text, value):
    found = parse_yaml(text, "here")
    assert found == value
    assert type(found) is type(value)


@settings(max_examples=50, deadline=None)
@given(VALUES)
def test_round_trip(value):
    again = parse_yaml(to_yaml(value), "here")
    assert again == value
    assert to_yaml(again) == to_yaml(value)


def test_order_is_kept():
    assert to_yaml({"b": 1, "a": 2}) == "b: 1\na: 2\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: [1,\n", r"file\.yaml:3:1: not readable as YAML"),
        ("a: 1\n\tb: 2\n", r"file\.yaml:2:1: not readable as YAML: .*\\t"),
        ("a: 1\nc:\n  d: 1\n  d: 2\n", r"file\.yaml:4:3: .*'d' was already given in line 3"),
        ("a: \x00", r"file\.yaml: not readable as YAML"),
        ("!!python/object/apply:os.system ['true']", r"file\.yaml:1:1: not readable as YAML"),
        ("a: 1\n---\nb: 2\n", r"file\.yaml:2:1: not readable as YAML"),
    ],
)
def test_errors_name_the_line(text, message):
    with pytest.raises(InputError, match=message):
        parse_yaml(text, "file.yaml")
