import pickle

import pytest

from foldwright.runtime.errors import FoldwrightError, InputError, Problem


def test_every_problem_is_in_the_text_with_its_place():
    error = InputError([Problem("a.pdb:3", "no atoms"), Problem("", "nothing to do")])
    assert str(error) == "a.pdb:3: no atoms\nnothing to do"


@pytest.mark.parametrize("given", ["empty", Problem("", "empty"), [Problem("", "empty")]])
def test_one_message_is_one_problem(given):
    assert InputError(given).problems == (Problem("", "empty"),)


def test_is_both_ours_and_a_value_error():
    assert isinstance(InputError("x"), FoldwrightError)
    assert isinstance(InputError("x"), ValueError)


def test_problems_survive_the_way_back_from_a_worker():
    error = InputError([Problem("a", "b"), Problem("c", "d")])
    assert pickle.loads(pickle.dumps(error)).problems == error.problems
