"""All scores of one design."""

from dataclasses import asdict, dataclass

import torch

from foldwright.evaluation.backbone import BackboneScores, score_backbone
from foldwright.evaluation.fold import FoldScores, score_fold
from foldwright.evaluation.natural import SizeBand, load_natural
from foldwright.evaluation.trace import TraceScores, score_trace
from foldwright.runtime.errors import InputError
from foldwright.structure.records import Chain, Structure

FEWEST_RESIDUES = 5

Value = int | float | bool | str | None


@dataclass(frozen=True)
class DesignScores:
    """Scores of one protein chain, without and with comparison to nature.

    Attributes:
        name: what the design is called.
        length: residues of the chain; `missing_ca` of them have no C-alpha and count nowhere.
        rg_in_band: the radius of gyration lies between the 5th and 95th percentile of natural
            chains of this length; None for lengths the reference does not reach.
        backbone: None where the chain has C-alpha only.
    """

    name: str
    length: int
    missing_ca: int
    trace: TraceScores
    fold: FoldScores
    rg_in_band: bool | None
    backbone: BackboneScores | None

    def row(self) -> dict[str, Value]:
        """All values by name, flat, as they stand in `scores.csv`."""
        row: dict[str, Value] = {
            "name": self.name,
            "length": self.length,
            "missing_ca": self.missing_ca,
            "rg_in_band": self.rg_in_band,
        }
        row |= asdict(self.trace) | asdict(self.fold)
        missing = dict.fromkeys(BackboneScores.__annotations__)
        return row | (missing if self.backbone is None else asdict(self.backbone))


def score_structure(structure: Structure) -> DesignScores:
    """Score a structure that holds one protein chain, against the shipped natural reference.

    Nucleic acids and ligands beside it are ignored.

    Raises:
        InputError: another number of protein chains, or a chain that is too short.
    """
    chains = structure.protein_chains
    if len(chains) != 1:
        raise InputError(
            f"{structure.name}: a design has one protein chain, this structure has {len(chains)}; "
            "score the chains one by one"
        )
    return score_chain(chains[0], name=structure.name, band=load_natural().size_band)


def score_chain(chain: Chain, *, name: str, band: SizeBand | None) -> DesignScores:
    """Score one protein chain.

    Args:
        chain: C-alpha suffice; N, C and O are scored where they are.
        name: what to call the design.
        band: natural radii of gyration, None to leave that comparison out.

    Raises:
        InputError: fewer than five residues with a C-alpha.
    """
    coords = torch.from_numpy(chain.backbone())
    ca = coords[:, 1]
    num_present = int((~ca.isnan().any(dim=-1)).sum())
    if num_present < FEWEST_RESIDUES:
        raise InputError(
            f"{name}: {num_present} residues with a C-alpha; scores need at least {FEWEST_RESIDUES}"
        )
    fold = score_fold(ca)
    return DesignScores(
        name=name,
        length=len(chain),
        missing_ca=len(chain) - num_present,
        trace=score_trace(ca),
        fold=fold,
        rg_in_band=None if band is None else band.holds(len(chain), fold.radius_of_gyration),
        backbone=score_backbone(coords, chain.sequence),
    )
