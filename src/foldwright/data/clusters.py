"""Clusters of similar chains, and splits that never divide one."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pydantic import Field, model_validator

from foldwright.data.store_format import SPLITS
from foldwright.runtime.config import Config
from foldwright.runtime.errors import InputError, Problem
from foldwright.runtime.seeds import derive_seed

_MOST_PROBLEMS = 10
_HASH_RANGE = 2.0**63


class SplitSettings(Config):
    """How chains are divided into training, validation and test set."""

    validation_fraction: float = Field(default=0.05, ge=0, lt=1, description="share of clusters")
    test_fraction: float = Field(default=0.05, ge=0, lt=1, description="share of clusters")
    seed: int = Field(default=0, description="another seed gives another division")

    @model_validator(mode="after")
    def _leave_something_to_train_on(self) -> "SplitSettings":
        if self.validation_fraction + self.test_fraction >= 1:
            raise ValueError(
                "validation_fraction and test_fraction must add up to less than 1, "
                f"got {self.validation_fraction} + {self.test_fraction}"
            )
        return self


def split_of_cluster(cluster: str, settings: SplitSettings) -> str:
    """Return the split of a cluster, which depends on nothing but its name and the settings.

    So chains that are added later change the split of no other. The shares hold on average.
    """
    place = derive_seed(settings.seed, "split", cluster) / _HASH_RANGE
    train, val, test = SPLITS
    if place < settings.test_fraction:
        return test
    return val if place < settings.test_fraction + settings.validation_fraction else train


def read_clusters(path: Path) -> dict[str, str]:
    """Read which cluster each chain belongs to: name of the chain to name of the cluster.

    Two forms: lines `representative<TAB>member` without a heading, as MMseqs2 and Foldseek write
    them, or CSV with the columns `name` and `cluster`.

    Raises:
        InputError: the file cannot be read, or the first ten lines that fit neither form or put
            a chain into two clusters.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(Problem(str(path), f"cannot be read as text: {error}")) from error
    clusters: dict[str, str] = {}
    problems = []
    for number, (cluster, name) in _pairs(path, lines):
        known = clusters.setdefault(name, cluster)
        if not cluster or not name:
            message = "expected a chain and its cluster: two columns, neither of them empty"
            problems.append(Problem(f"{path}, line {number}", message))
        elif known != cluster:
            message = f"{name!r} is in the clusters {known!r} and {cluster!r}; keep one"
            problems.append(Problem(f"{path}, line {number}", message))
    if problems:
        raise InputError(problems[:_MOST_PROBLEMS])
    return clusters


def _pairs(path: Path, lines: Sequence[str]) -> Iterator[tuple[int, tuple[str, str]]]:
    """Line number, and (cluster, name); an empty name where there are more or fewer columns."""
    if lines and "\t" in lines[0]:
        for number, line in enumerate(lines, start=1):
            words = [word.strip() for word in line.split("\t")]
            if any(words):
                yield number, (words[0], words[1]) if len(words) == 2 else ("", "")
        return
    table = csv.DictReader(lines)
    if not {"name", "cluster"} <= set(table.fieldnames or ()):
        raise InputError(
            Problem(
                str(path),
                f"got the heading {','.join(table.fieldnames or ())!r}; expected CSV with the "
                "columns name and cluster, or lines of representative, tab, member",
            )
        )
    for row in table:
        yield table.line_num, ((row["cluster"] or "").strip(), (row["name"] or "").strip())


def find_cluster(clusters: Mapping[str, str], names: Sequence[str]) -> str | None:
    """Return the cluster of the first of several names of one chain that is known, else None."""
    return next((clusters[name] for name in names if name in clusters), None)
