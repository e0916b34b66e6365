"""Domain lists of SCOPe/ASTRAL and CATH: which residues of which chain are one domain.

Residue numbers are the author's numbers of the structure file, with insertion codes. The text forms
read here are described in docs/fetch.md.
"""

import gzip
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from foldwright.runtime.errors import InputError, Problem

_RESIDUE = r"-?\d+(?:[A-Za-z]|\([A-Za-z]\))?"
_SPAN = re.compile(rf"({_RESIDUE})-({_RESIDUE})")
_SID = re.compile(r"[deg][1-9][A-Za-z0-9]{3}[A-Za-z0-9_.][A-Za-z0-9_][A-Za-z0-9]?")
_CATH_NAME = re.compile(r"[1-9][A-Za-z0-9]{3}[A-Za-z0-9]\d\d")
_CATH_CHAIN = re.compile(r"[1-9][A-Za-z0-9]{3}[A-Za-z0-9]")


@dataclass(frozen=True)
class ResidueSpan:
    """An unbroken run of residues of one chain.

    `first` and `last` are author residue numbers with insertion code (`"-3"`, `"52A"`), both
    included; both empty means the whole chain. An empty `chain` is a chain without a name.
    """

    chain: str
    first: str = ""
    last: str = ""

    def __str__(self) -> str:
        residues = f"{self.first}-{self.last}" if self.first else ""
        return f"{self.chain}:{residues}" if self.chain else residues or "-"


@dataclass(frozen=True)
class ListedDomain:
    """One line of a domain list; `spans` is None where the list does not say which residues."""

    name: str
    pdb_id: str
    spans: tuple[ResidueSpan, ...] | None
    classification: str = ""


def parse_spans(text: str) -> tuple[ResidueSpan, ...]:
    """Read `A:`, `A:2-78,B:187-305`, `1-57` or `-` (all of a chain without a name).

    Raises:
        ValueError: a part has none of these forms.
    """
    return tuple(_parse_span(part.strip()) for part in text.split(","))


def _parse_span(text: str) -> ResidueSpan:
    chain, colon, residues = text.rpartition(":")
    if (text == "-" or (colon and chain and not residues)) and "," not in chain:
        return ResidueSpan(chain)
    span = _SPAN.fullmatch(residues)
    if span is None:
        raise ValueError(f"{text!r} is not a residue range such as A:, A:2-78 or 1-57")
    first, last = (residue.replace("(", "").replace(")", "") for residue in span.groups())
    return ResidueSpan(chain, first, last)


def format_spans(spans: Iterable[ResidueSpan]) -> str:
    """Write ranges so that `parse_spans` reads them back."""
    return ",".join(str(span) for span in spans)


def read_domain_list(path: Path) -> list[ListedDomain]:
    """Read one domain list, plain or gzipped, in any of the known forms.

    Every line tells its own form, so a list cut out of a longer one works too. Names that occur
    twice are kept once.

    Raises:
        InputError: the file cannot be read, holds no domain, or lines have no known form (all
            such lines are reported).
    """
    domains: dict[str, ListedDomain] = {}
    problems: list[Problem] = []
    for number, line in _content_lines(path):
        try:
            for domain in parse_domain_line(line):
                domains.setdefault(domain.name, domain)
        except ValueError as error:
            problems.append(Problem(f"{path}:{number}", str(error)))
    if problems:
        raise InputError(problems)
    if not domains:
        raise InputError(f"{path}: no domain found; expected a SCOPe, ASTRAL or CATH domain list.")
    return list(domains.values())


def _content_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Lines with their numbers, without comments and without the sequences of a FASTA file."""
    try:
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        text = raw.decode("utf-8")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot read the domain list: {error}.") from error
    lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    lines = [(number, line) for number, line in lines if not line.lstrip().startswith("#")]
    is_fasta = bool(lines) and lines[0][1].startswith(">")
    return ((n, line) for n, line in lines if not is_fasta or line.startswith(">"))


def parse_domain_line(line: str) -> list[ListedDomain]:
    """Read one line in whichever form it has; a CATH boundary line holds several domains.

    Raises:
        ValueError: the line has no known form.
    """
    fields = line.removeprefix(">").split()
    name = fields[0]
    if _SID.fullmatch(name):
        return [_parse_scope(line, fields)]
    if len(fields) > 2 and _CATH_CHAIN.fullmatch(name):
        return _parse_cath_boundaries(fields)
    if _CATH_NAME.fullmatch(name):
        return [_parse_cath_name(fields)]
    raise ValueError(
        f"{line.strip()[:60]!r} has no known form; expected a SCOPe or ASTRAL name (d1dlwa_), "
        "a CATH name (1oaiA00) or a CATH boundary line (1chmA D02 F00 ...)."
    )


def _parse_scope(line: str, fields: Sequence[str]) -> ListedDomain:
    """`dir.cla` rows, ASTRAL FASTA headers and names alone."""
    name, pdb_id = fields[0], fields[0][1:5].lower()
    if len(fields) == 1:
        return ListedDomain(name, pdb_id, None)
    if line.startswith(">"):
        region = re.search(r"\(([^()]*)\)", line)
        if region is None:
            raise ValueError(
                f"{line.strip()[:60]!r} has no region in parentheses such as (A:1-90)."
            )
        return ListedDomain(name, pdb_id, parse_spans(region[1]), fields[1])
    if len(fields) < 4:
        raise ValueError(
            f"{line.strip()[:60]!r} has {len(fields)} columns; expected the name alone or at "
            "least name, PDB id, region and class."
        )
    return ListedDomain(name, fields[1].lower(), parse_spans(fields[2]), fields[3])


def _parse_cath_name(fields: Sequence[str]) -> ListedDomain:
    """`cath-domain-list` rows, `cath-b` rows and names alone."""
    name = fields[0]
    pdb_id, chain, number = name[:4].lower(), name[4], name[5:]
    whole_chain = (ResidueSpan(chain),) if number == "00" else None
    if len(fields) == 1:
        return ListedDomain(name, pdb_id, whole_chain)
    if len(fields) == 4:
        spans = tuple(_parse_span(_chain_first(part)) for part in fields[3].split(","))
        return ListedDomain(name, pdb_id, spans, fields[2])
    if len(fields) == 12 and all(field.isdigit() for field in fields[1:11]):
        return ListedDomain(name, pdb_id, whole_chain, ".".join(fields[1:5]))
    if len(fields) == 2:
        raise ValueError(
            f"{name} {fields[1]} counts residues along SEQRES, not by their numbers in the file; "
            "use cath-domain-boundaries.txt or cath-b-newest-all."
        )
    raise ValueError(f"{name} is followed by {len(fields) - 1} columns; expected 0, 3 or 11.")


def _chain_first(text: str) -> str:
    """`2-78:A` of CATH's daily lists as `A:2-78`."""
    residues, _, chain = text.rpartition(":")
    if not residues or not chain:
        raise ValueError(f"{text!r} is not a residue range such as 2-78:A")
    return f"{chain}:{residues}"


def _parse_cath_boundaries(fields: Sequence[str]) -> list[ListedDomain]:
    """A CATH Domall line, format 2.0; fragments, which belong to no domain, are left out."""
    chain_name = fields[0]
    counts = re.fullmatch(r"D(\d+) F(\d+)", " ".join(fields[1:3]))
    if counts is None:
        raise ValueError(f"{chain_name} is followed by {' '.join(fields[1:3])!r}, not D<n> F<n>.")
    num_domains, num_fragments = int(counts[1]), int(counts[2])
    take = _taker(fields[3:], chain_name)
    domains = []
    for index in range(1, num_domains + 1):
        spans = tuple(_boundary_span(take(6)) for _ in range(int(take(1)[0])))
        # Without a second domain and without fragments the chain is the domain: number 00.
        number = 0 if num_domains == 1 and num_fragments == 0 else index
        domains.append(ListedDomain(f"{chain_name}{number:02d}", chain_name[:4].lower(), spans))
    return domains


def _taker(fields: Sequence[str], chain_name: str) -> Callable[[int], Sequence[str]]:
    position = 0

    def take(count: int) -> Sequence[str]:
        nonlocal position
        taken = fields[position : position + count]
        position += count
        if len(taken) < count:
            raise ValueError(f"{chain_name}: the boundary line ends before its last domain.")
        return taken

    return take


def _boundary_span(fields: Sequence[str]) -> ResidueSpan:
    chain, first, first_code, last_chain, last, last_code = fields
    if chain != last_chain:
        raise ValueError(f"a segment runs from chain {chain} to chain {last_chain}.")
    first, last = first + first_code.strip("-"), last + last_code.strip("-")
    if _SPAN.fullmatch(f"{first}-{last}") is None:
        raise ValueError(f"{' '.join(fields)!r} is not a segment such as 'A 2 - A 156 -'.")
    return ResidueSpan(chain, first, last)


def complete_spans(
    domains: Sequence[ListedDomain], table: Sequence[ListedDomain]
) -> list[ListedDomain]:
    """Take residue ranges (and a missing class) from `table` for domains listed without them.

    Domains that `table` does not know stay without ranges.
    """
    known = {domain.name: domain for domain in table if domain.spans is not None}
    return [
        ListedDomain(
            domain.name,
            domain.pdb_id,
            domain.spans if domain.spans is not None else known[domain.name].spans,
            domain.classification or known[domain.name].classification,
        )
        if domain.name in known
        else domain
        for domain in domains
    ]
