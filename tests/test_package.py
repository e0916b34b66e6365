"""The verbs at the top of the package."""

import importlib

import pytest

import foldwright


@pytest.mark.parametrize("name", sorted(set(foldwright.__all__) - {"__version__"}))
def test_verb_is_the_function_at_its_home_and_in_the_docstring(name):
    verb = getattr(foldwright, name)
    assert getattr(importlib.import_module(verb.__module__), name) is verb
    assert f"`{name}`" in (foldwright.__doc__ or "")
    assert name in dir(foldwright)


def test_other_names_are_absent_as_in_any_module():
    with pytest.raises(AttributeError, match="'foldwright' has no attribute 'designs'"):
        foldwright.designs  # noqa: B018
