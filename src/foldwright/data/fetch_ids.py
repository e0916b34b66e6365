"""Identifiers of structures, and where each one is downloaded from."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args
from urllib.parse import urlsplit

from foldwright.runtime.errors import InputError, Problem

FileFormat = Literal["cif", "bcif", "pdb"]

PDB_URLS: dict[str, str] = {
    "cif": "https://files.rcsb.org/download/{id}.cif.gz",
    "bcif": "https://models.rcsb.org/{id}.bcif.gz",
    "pdb": "https://files.rcsb.org/download/{id}.pdb.gz",
}
AFDB_URL = "https://alphafold.ebi.ac.uk/files/{id}.{format}"

_PDB = re.compile(r"(pdb_[0-9a-z]{8}|[1-9][0-9a-z]{3})(?:[_.:]?([0-9a-z]{1,4}))?", re.IGNORECASE)
_UNIPROT = r"(?:[OPQ]\d[A-Z0-9]{3}\d|[A-NR-Z]\d(?:[A-Z][A-Z0-9]{2}\d){1,2})(?:-\d{1,2})?"
_AFDB = re.compile(
    rf"(?:AF-)?({_UNIPROT})(?:-F(\d+))?(?:-model_v\d+)?(?:\.(?:cif|bcif|pdb))?", re.IGNORECASE
)


@dataclass(frozen=True)
class StructureId:
    """One structure of the PDB or of AlphaFold-DB; `chain` where a chain was asked for."""

    source: Literal["pdb", "afdb"]
    entry: str
    chain: str = ""


@dataclass(frozen=True)
class FetchTarget:
    """One file to download: the name it is reported under, its address, its file name."""

    id: str
    url: str
    file: str


def parse_structure_id(text: str) -> StructureId:
    """Read a PDB id (`1abc`, `1abc_A`, `1abcA`, `pdb_00001abc`) or an AlphaFold-DB one.

    AlphaFold-DB entries are named by UniProt accession (`P00520`) or by entry
    (`AF-P00520-F1`); the entry of an accession alone is its first fragment.

    Raises:
        ValueError: the text is neither.
    """
    pdb = _PDB.fullmatch(text)
    if pdb is not None:
        entry = pdb[1].lower().removeprefix("pdb_0000")
        return StructureId("pdb", entry, pdb[2] or "")
    afdb = _AFDB.fullmatch(text)
    if afdb is not None:
        return StructureId("afdb", f"AF-{afdb[1].upper()}-F{afdb[2] or 1}")
    raise ValueError(
        f"{text!r} is neither a PDB id (1abc, 1abc_A, pdb_00001abc) nor a UniProt accession "
        "(P00520, AF-P00520-F1)."
    )


def read_structure_ids(words: Iterable[str], lists: Iterable[Path] = ()) -> list[StructureId]:
    """Read ids given one by one, then id lists; each id is kept once, in order of appearance.

    In a list, ids are separated by commas, semicolons or white space and `#` starts a comment.

    Raises:
        InputError: all words that are no ids, with file and line, and lists that cannot be read.
    """
    found: dict[StructureId, None] = {}
    problems: list[Problem] = []
    placed = [("command line", part) for word in words for part in _split(word)]
    for path in lists:
        try:
            text = path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            problems.append(Problem(str(path), f"cannot read the id list: {error}."))
            continue
        for number, line in enumerate(text.splitlines(), 1):
            placed += [(f"{path}:{number}", part) for part in _split(line.partition("#")[0])]
    for place, part in placed:
        try:
            found.setdefault(parse_structure_id(part))
        except ValueError as error:
            problems.append(Problem(place, str(error)))
    if problems:
        raise InputError(problems)
    return list(found)


def _split(text: str) -> list[str]:
    return [part for part in re.split(r"[,;\s]+", text) if part]


def plan_targets(
    ids: Sequence[StructureId],
    *,
    file_format: FileFormat = "cif",
    afdb_version: int = 6,
    pdb_url: str | None = None,
    afdb_url: str | None = None,
) -> list[FetchTarget]:
    """Give every entry its address and file name; entries named twice are fetched once.

    A template holds `{id}`, and may hold `{format}` and `{middle}` (the second and third
    character of a PDB id, as mirrors divide their folders). A template without `{id}` is a
    folder. A file is kept gzipped where its address ends in `.gz`.

    Raises:
        InputError: an unknown format, or a template that is no http(s) address.
    """
    if file_format not in get_args(FileFormat):
        raise InputError(f"format: got {file_format!r}; expected one of {get_args(FileFormat)}.")
    templates = {
        "pdb": _check_template(pdb_url or PDB_URLS[file_format], "{id}.{format}.gz"),
        "afdb": _check_template(afdb_url or AFDB_URL, "{id}.{format}"),
    }
    targets: dict[str, FetchTarget] = {}
    for wanted in ids:
        entry = wanted.entry
        stem = entry if wanted.source == "pdb" else f"{entry}-model_v{afdb_version}"
        url = templates[wanted.source].format(id=stem, format=file_format, middle=entry[1:3])
        ending = ".gz" if urlsplit(url).path.endswith(".gz") else ""
        targets.setdefault(entry, FetchTarget(entry, url, f"{stem}.{file_format}{ending}"))
    return list(targets.values())


def _check_template(template: str, file_template: str) -> str:
    full = template if "{id}" in template else f"{template.rstrip('/')}/{file_template}"
    try:
        parts = urlsplit(full.format(id="1abc", format="cif", middle="ab"))
    except (KeyError, IndexError, ValueError) as error:
        raise InputError(
            f"address template {template!r}: unknown field {error}; use {{id}}, {{format}} "
            "and {middle}."
        ) from error
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise InputError(
            f"address template {template!r} is no http(s) address; "
            "write for example https://files.rcsb.org/download/{id}.cif.gz."
        )
    return full
