"""Names of activities: which labels of a model a user means."""

import difflib
from collections.abc import Sequence

from foldwright.models.peptide.inputs import UNKNOWN_LABEL
from foldwright.runtime.errors import Problem


def find_labels(
    names: Sequence[str],
    wanted: Sequence[str],
    excluded: Sequence[str],
    problems: list[Problem],
) -> tuple[int, ...]:
    """Turn names into 1, 0 or -1 (no matter) for each label of a model.

    Names the model does not have, with the nearest one it has, and names that are both wanted and
    excluded are added to `problems`.
    """
    found = [UNKNOWN_LABEL] * len(names)
    for option, given, value in (("--activity", wanted, 1), ("--not", excluded, 0)):
        for name in given:
            if name not in names:
                problems.append(Problem(option, _unknown(name, names)))
            elif found[names.index(name)] == 1 - value:
                message = f"{name} is asked for with --activity too; leave one of them out"
                problems.append(Problem(option, message))
            else:
                found[names.index(name)] = value
    return tuple(found)


def _unknown(name: str, names: Sequence[str]) -> str:
    near = difflib.get_close_matches(name.lower(), names, n=1, cutoff=0.4)
    hint = f"did you mean {near[0]}?" if near else f"they know {', '.join(names)}"
    return f"these weights know no activity {name!r}; {hint}"
