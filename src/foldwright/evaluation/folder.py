"""Score every design of a folder, whatever its layout."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from foldwright.evaluation.natural import NaturalReference, load_natural
from foldwright.evaluation.scores import DesignScores, score_chain
from foldwright.runtime.errors import InputError, Problem
from foldwright.runtime.progress import ProgressFactory, silent
from foldwright.structure.io import read_structure
from foldwright.structure.records import Chain

SUFFIXES = (".cif", ".mmcif", ".bcif", ".pdb", ".ent")
"""What counts as a structure file, plain or with `.gz`; of one design the first is read."""


@dataclass(frozen=True, eq=False)
class ScoredDesign:
    """One protein chain of a file, and its scores."""

    file: str
    chain: Chain
    scores: DesignScores

    @property
    def ca(self) -> torch.Tensor:
        """C-alpha positions (n, 3) in Å, NaN where missing."""
        return torch.from_numpy(self.chain.ca)


@dataclass(frozen=True)
class Failure:
    """A file without scores, and the reason in one line."""

    file: str
    reason: str


@dataclass(frozen=True, eq=False)
class FolderEvaluation:
    """The designs of a folder, in the order of their files' names."""

    folder: Path
    designs: tuple[ScoredDesign, ...]
    failures: tuple[Failure, ...]


def evaluate_folder(folder: Path, *, progress: ProgressFactory = silent) -> FolderEvaluation:
    """Read and score every protein chain of every structure file below a folder.

    PDB, mmCIF and BinaryCIF files are taken, gzipped or not, at any depth; hidden ones are not.
    Of files that differ in their suffix alone, as `foldwright design` writes them, one is read.
    A file that cannot be scored becomes a failure and stops nothing.

    Raises:
        InputError: no such folder, or no structure file in it.
    """
    paths = find_structure_files(folder)
    natural = load_natural()
    designs: list[ScoredDesign] = []
    failures: list[Failure] = []
    with progress("scoring designs", len(paths)) as bar:
        for path in paths:
            file = path.relative_to(folder).as_posix()
            try:
                designs += _score_file(path, file, natural)
            except InputError as error:
                failures.append(Failure(file, _one_line(error)))
            bar.advance(failed=len(failures))
    return FolderEvaluation(folder, tuple(designs), tuple(failures))


def find_structure_files(folder: Path) -> list[Path]:
    """List the files that `evaluate_folder` reads, sorted by name without suffix.

    Raises:
        InputError: no such folder, or no structure file in it.
    """
    if not folder.is_dir():
        raise InputError(Problem(str(folder), "is not a folder; give the folder of the designs"))
    by_design: dict[Path, list[Path]] = {}
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if _suffix(path) in SUFFIXES and not hidden and path.is_file():
            by_design.setdefault(path.with_name(_stem(path)), []).append(path)
    if not by_design:
        raise InputError(
            Problem(
                str(folder),
                f"holds no structure files ({', '.join(SUFFIXES)}, plain or with .gz)",
            )
        )
    return [
        min(paths, key=lambda path: SUFFIXES.index(_suffix(path)))
        for _, paths in sorted(by_design.items())
    ]


def _score_file(path: Path, file: str, natural: NaturalReference) -> list[ScoredDesign]:
    structure = read_structure(path)
    chains = structure.protein_chains
    if not chains:
        raise InputError(f"{_kinds(structure.chains)}, no protein chain to score")
    scored = []
    for chain in chains:
        name = _stem(path) if len(chains) == 1 else f"{_stem(path)}_{chain.chain_id}"
        scores = score_chain(chain, name=name, band=natural.size_band)
        scored.append(ScoredDesign(file, chain, scores))
    return scored


def _kinds(chains: Sequence[Chain]) -> str:
    return f"holds {' and '.join(sorted({chain.kind for chain in chains}))} chains"


def _one_line(error: InputError) -> str:
    return " ".join("; ".join(problem.message for problem in error.problems).split())


def _suffix(path: Path) -> str:
    name = path.with_suffix("") if path.suffix.lower() == ".gz" else path
    return name.suffix.lower()


def _stem(path: Path) -> str:
    name = path.with_suffix("") if path.suffix.lower() == ".gz" else path
    return name.stem
