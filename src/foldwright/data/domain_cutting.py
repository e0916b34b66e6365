"""Domains cut out of the chains of a structure file, by the author's residue numbers."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Int

from foldwright.data.domain_lists import ListedDomain, ResidueSpan, parse_spans
from foldwright.data.filters import Rejection
from foldwright.runtime.errors import InputError, Problem
from foldwright.structure.records import Chain
from foldwright.structure.selection import join_chains, take_residues

_COLUMNS = {"name", "pdb_id", "file", "ranges"}
_MOST_PROBLEMS = 10


def read_domain_table(path: Path) -> dict[str, list[ListedDomain]]:
    """Read the `domains.csv` of `foldwright data fetch`: file name to the domains in that file.

    Domains of entries that could not be fetched stand under the empty name.

    Raises:
        InputError: the table cannot be read, lacks a column, or the first ten rows that have no
            name or ranges of another form.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(Problem(str(path), f"cannot be read as text: {error}")) from error
    table = csv.DictReader(lines)
    missing = _COLUMNS - set(table.fieldnames or ())
    if missing:
        message = f"has no column {', '.join(sorted(missing))}; expected the domains.csv of a fetch"
        raise InputError(Problem(str(path), message))
    domains: dict[str, list[ListedDomain]] = {}
    problems = []
    for row in table:
        name, ranges = (row["name"] or "").strip(), (row["ranges"] or "").strip()
        try:
            spans = parse_spans(ranges) if ranges else None
        except ValueError as error:
            problems.append(Problem(f"{path}, line {table.line_num}", str(error)))
            continue
        if not name:
            problems.append(Problem(f"{path}, line {table.line_num}", "a domain needs a name"))
        domain = ListedDomain(name, row["pdb_id"] or "", spans)
        domains.setdefault((row["file"] or "").strip(), []).append(domain)
    if problems:
        raise InputError(problems[:_MOST_PROBLEMS])
    return domains


def cut_domain(domain: ListedDomain, chains: Sequence[Chain]) -> Chain | Rejection:
    """Return the residues of a domain as one chain, in the order of its ranges, or why not.

    Both ends of every range must be among the residues that have coordinates; nothing is guessed.
    """
    if domain.spans is None:
        return Rejection("no-ranges", "the domain list gives no residue ranges")
    parts: list[Chain] = []
    for span in domain.spans:
        named = [chain for chain in chains if chain.chain_id == span.chain]
        if not named:
            there = ", ".join(repr(chain.chain_id) for chain in chains) or "none"
            reason = f"no protein chain {span.chain!r}, found {there}"
            return Rejection("no-residues", reason)
        part = _first_part(span, named)
        if isinstance(part, Rejection):
            return part
        parts.append(part)
    return join_chains(parts)


def _first_part(span: ResidueSpan, chains: Sequence[Chain]) -> Chain | Rejection:
    """The range in the first of the chains of its name that has both ends."""
    for chain in chains:
        rows = _rows_of(span, chain)
        if rows is not None:
            return take_residues(chain, rows)
    return Rejection("no-residues", f"chain {span.chain!r} has no residues {span}")


def _rows_of(span: ResidueSpan, chain: Chain) -> Int[np.ndarray, " m"] | None:
    if not span.first:
        return np.arange(len(chain))
    numbers, codes = chain.residue_numbers.tolist(), chain.insertion_codes.tolist()
    labels = [f"{number}{code}" for number, code in zip(numbers, codes, strict=True)]
    if span.first not in labels or span.last not in labels:
        return None
    first, last = labels.index(span.first), labels.index(span.last)
    return np.arange(first, last + 1) if first <= last else None
