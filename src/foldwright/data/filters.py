"""Which chains are good enough to train on, and why the others are not."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Float32, Int
from pydantic import Field, model_validator

from foldwright.data.chain_shape import ChainShape, expected_rg, measure_shape
from foldwright.runtime.config import Config
from foldwright.structure.continuity import find_breaks
from foldwright.structure.records import Chain


class FilterSettings(Config):
    """Limits of a data set; None switches a limit off."""

    min_length: int = Field(default=40, ge=1, description="shortest chain in residues")
    max_length: int | None = Field(default=512, ge=1, description="longest chain in residues")
    max_resolution: float | None = Field(
        default=4.0, gt=0, description="worst resolution in Å; entries that state none pass"
    )
    max_breaks: int = Field(default=0, ge=0, description="most interruptions of one chain")
    split_at_breaks: bool = Field(
        default=False, description="cut chains at breaks and keep the pieces"
    )
    max_missing_ca: float = Field(
        default=0.05,
        ge=0,
        le=1,
        description="largest share of residues without CA, which are left out",
    )
    max_coil: float | None = Field(default=None, ge=0, le=1, description="largest share of coil")
    max_rg_ratio: float | None = Field(
        default=None,
        gt=0,
        description="largest radius of gyration over that of a globule",
    )

    @model_validator(mode="after")
    def _make_sense_together(self) -> "FilterSettings":
        if self.max_length is not None and self.max_length < self.min_length:
            raise ValueError(
                f"max_length {self.max_length} is below min_length {self.min_length}: no chain "
                "would pass"
            )
        if self.split_at_breaks and self.max_breaks:
            raise ValueError(
                "split_at_breaks leaves no breaks to count: leave max_breaks out, or do not split"
            )
        return self


@dataclass(frozen=True)
class Rejection:
    """Why a file, a chain or a piece of one is left out.

    Attributes:
        rule: the rule it broke first, one word for counting.
        reason: everything that is wrong with it, in words.
    """

    rule: str
    reason: str


@dataclass(frozen=True, eq=False)
class ChainPiece:
    """A stretch of a chain in which every residue has CA.

    Attributes:
        backbone: N, CA, C, O in Å; NaN is a missing atom.
        number: which piece of its chain, from 1; 0 if the chain was not cut.
    """

    backbone: Float32[np.ndarray, "n 4 3"]
    sequence: str
    residue_numbers: Int[np.ndarray, " n"]
    number: int

    @property
    def ca(self) -> Float32[np.ndarray, "n 3"]:
        """C-alpha positions in Å."""
        return self.backbone[:, 1]


def chain_pieces(chain: Chain, settings: FilterSettings) -> list[ChainPiece] | Rejection:
    """Return the pieces of a chain that are candidates, or why there are none.

    Residues without CA are left out; where they stood inside the chain there is a break.
    """
    backbone = chain.backbone()
    known = np.flatnonzero(np.isfinite(backbone[:, 1]).all(axis=-1))
    missing = 1 - len(known) / len(chain)
    if missing > settings.max_missing_ca or not len(known):
        return Rejection(
            "missing-ca",
            f"{len(chain) - len(known)} of {len(chain)} residues have no CA, at most "
            f"{settings.max_missing_ca:.0%} may",
        )
    n, ca, c = (backbone[known, atom] for atom in range(3))
    breaks = find_breaks(ca, c=c, n=n)
    if not settings.split_at_breaks and len(breaks) > settings.max_breaks:
        return Rejection(
            "breaks",
            f"breaks: {len(breaks)}, first after residue "
            f"{chain.residue_numbers[known[breaks[0]]]}, more than {settings.max_breaks}; "
            "split_at_breaks would keep the pieces",
        )
    ends = [0, *(breaks + 1).tolist(), len(known)] if settings.split_at_breaks else [0, len(known)]
    return list(_cut(chain, backbone, known, ends))


def _cut(
    chain: Chain,
    backbone: Float32[np.ndarray, "n 4 3"],
    known: Int[np.ndarray, " known"],
    ends: Sequence[int],
) -> Iterator[ChainPiece]:
    was_cut = len(ends) > 2
    for number, (start, end) in enumerate(pairwise(ends), start=1):
        rows = known[start:end]
        yield ChainPiece(
            backbone=backbone[rows],
            sequence="".join(chain.sequence[row] for row in rows),
            residue_numbers=chain.residue_numbers[rows],
            number=number if was_cut else 0,
        )


def judge_piece(
    piece: ChainPiece, resolution: float | None, settings: FilterSettings
) -> ChainShape | Rejection:
    """Measure a candidate, or say why it is left out.

    The cheap limits come first: a piece that breaks one of them is not measured.
    """
    broken = list(_broken_limits(len(piece.ca), resolution, settings))
    if broken:
        return _combined(broken)
    shape = measure_shape(piece.ca)
    broken = list(_broken_shape_limits(shape, len(piece.ca), settings))
    return _combined(broken) if broken else shape


def _broken_limits(
    length: int, resolution: float | None, settings: FilterSettings
) -> Iterator[Rejection]:
    highest_resolution = settings.max_resolution
    if resolution is not None and highest_resolution and resolution > highest_resolution:
        yield Rejection(
            "resolution", f"resolution {resolution:g} Å, worse than {highest_resolution:g}"
        )
    if length < settings.min_length:
        yield Rejection("too-short", f"{length} residues, shorter than {settings.min_length}")
    if settings.max_length is not None and length > settings.max_length:
        yield Rejection("too-long", f"{length} residues, longer than {settings.max_length}")


def _broken_shape_limits(
    shape: ChainShape, length: int, settings: FilterSettings
) -> Iterator[Rejection]:
    if settings.max_coil is not None and shape.coil > settings.max_coil:
        yield Rejection("coil", f"{shape.coil:.0%} coil, more than {settings.max_coil:.0%}")
    ratio = shape.rg / expected_rg(length)
    if settings.max_rg_ratio is not None and ratio > settings.max_rg_ratio:
        yield Rejection(
            "rg",
            f"radius of gyration {shape.rg:.1f} Å, {ratio:.2f} times that of a globule, more than "
            f"{settings.max_rg_ratio:g}",
        )


def _combined(broken: Sequence[Rejection]) -> Rejection:
    return Rejection(broken[0].rule, "; ".join(rejection.reason for rejection in broken))
