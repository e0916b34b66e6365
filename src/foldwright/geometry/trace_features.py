"""What a C-alpha trace says about the peptide units between its residues.

Unit i lies between residues i and i + 1. Shared by the reconstruction and by the recipe
that fits its table, so that both see the same numbers.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import pad

from foldwright.chem.backbone_geometry import (
    CA_CA_BREAK,
    CA_CA_CIS,
    CA_CA_OVERLAP,
    CA_CA_TRANS,
)
from foldwright.geometry.torsion import bond_angle, dihedral_angle
from foldwright.geometry.vectors import norm, normalise, normalise_across

# Neighbouring CA farther apart or nearer than this (Å) share no peptide bond.
LINK_RANGE = (CA_CA_OVERLAP, CA_CA_BREAK)
# Halfway between the CA-CA distances of cis and trans units.
CIS_BELOW = (CA_CA_CIS + CA_CA_TRANS) / 2
# Centre and half width (radians) of the CA angles of natural chains; polynomials in the
# scaled angle are not to be trusted beyond the limit.
_BEND_CENTRE, _BEND_SCALE, _BEND_LIMIT = 1.85, 0.35, 1.6


@dataclass(frozen=True)
class TraceUnits:
    """Peptide units of one trace, with as much context as each one has.

    `axis` points from CA i to CA i + 1; `left` and `right` are unit vectors across it,
    towards CA i - 1 and CA i + 2. `bend` is the scaled angle of the trace at each residue
    and `turn` the dihedral of the four CA around each unit; both are 0 where the trace
    does not define them. `has_far` means that CA i - 2 to CA i + 3 are all there.
    """

    axis: Float[Tensor, "u 3"]
    length: Float[Tensor, "u"]
    left: Float[Tensor, "u 3"]
    right: Float[Tensor, "u 3"]
    bend: Float[Tensor, "n"]
    turn: Float[Tensor, "u"]
    linked: Bool[Tensor, "u"]
    has_left: Bool[Tensor, "u"]
    has_right: Bool[Tensor, "u"]
    has_far: Bool[Tensor, "u"]
    is_cis: Bool[Tensor, "u"]


def trace_units(ca: Float[Tensor, "n 3"]) -> TraceUnits:
    """Describe the units of a trace of two or more residues; CA that are NaN link to nothing."""
    step = ca[1:] - ca[:-1]
    length = norm(step)
    # Comparisons with NaN are false, so missing residues end up unlinked. Steps of length
    # zero in their place make every dihedral across them 0.
    linked = (length > LINK_RANGE[0]) & (length < LINK_RANGE[1])
    step = step.masked_fill(~linked[:, None], 0.0)
    axis = normalise(step)
    has_left = linked & pad(linked[:-1], (1, 0))
    has_right = linked & pad(linked[1:], (0, 1))
    before, after = pad(-step[:-1], (0, 0, 1, 0)), pad(step[1:], (0, 0, 0, 1))
    origin = torch.zeros_like(step)
    bend = (bond_angle(-step[:-1], origin[1:], step[1:]) - _BEND_CENTRE) / _BEND_SCALE
    bend = bend.clamp(-_BEND_LIMIT, _BEND_LIMIT).masked_fill(~has_left[1:], 0.0)
    return TraceUnits(
        axis=axis,
        length=length,
        left=normalise_across(before, axis),
        right=normalise_across(after, axis),
        bend=pad(bend, (1, 1)),
        turn=dihedral_angle(before, origin, step, step + after),
        linked=linked,
        has_left=has_left,
        has_right=has_right,
        has_far=_shift(has_left, 1) & has_left & has_right & _shift(has_right, -1),
        is_cis=length < CIS_BELOW,
    )


def wide_factors(units: TraceUnits) -> list[tuple[Float[Tensor, "u _"], Float[Tensor, "u _"]]]:
    """Terms of CA i - 2 to CA i + 3 as pairs of factors: every first one times every second one.

    `products` writes a pair out; `contract` multiplies with coefficients without that.
    """
    before, after = (_harmonics(_shift(units.turn, by), 2)[:, 1:] for by in (1, -1))
    outer_left = _shift(units.bend[:-1], 1)[:, None]
    outer_right = _shift(units.bend[1:], -1)[:, None]
    constant = torch.ones_like(outer_left)
    single = torch.cat([constant, before, after, outer_left, outer_right], dim=1)
    joint = torch.cat(
        [
            products(before, after),
            outer_left * before,
            outer_right * after,
            outer_left**2,
            outer_right**2,
            outer_left * outer_right,
        ],
        dim=1,
    )
    return [
        (_middle(units, harmonics=3, degree=2), single),
        (_middle(units, harmonics=2, degree=1), joint),
    ]


def contract(
    factors: list[tuple[Float[Tensor, "u _"], Float[Tensor, "u _"]]],
    coefficients: Float[Tensor, "f c"],
) -> Float[Tensor, "u c"]:
    """The products of all pairs, side by side, times `coefficients`."""
    sizes = [first.shape[1] * second.shape[1] for first, second in factors]
    total = coefficients.new_zeros(1, coefficients.shape[1])
    for (first, second), block in zip(factors, coefficients.split(sizes), strict=True):
        partial = first @ block.reshape(first.shape[1], -1)
        partial = partial.unflatten(1, (second.shape[1], -1))
        total = total + (partial * second[:, :, None]).sum(dim=1)
    return total


def narrow_features(units: TraceUnits) -> Float[Tensor, "u f"]:
    """The same of CA i - 1 to CA i + 2 only, fewer of them."""
    return _middle(units, harmonics=4, degree=2)


def cis_features(units: TraceUnits) -> Float[Tensor, "u f"]:
    """Terms of CA i - 1 to CA i + 2, few enough for the few cis units that there are."""
    return _middle(units, harmonics=2, degree=1)


def bend_features(bend: Float[Tensor, "u"]) -> Float[Tensor, "u 3"]:
    """Terms of one CA angle, for units with a neighbour on one side only."""
    return _powers(bend, 2)


def end_features(turn: Float[Tensor, "k"], bend: Float[Tensor, "k"]) -> Float[Tensor, "k f"]:
    """Terms of the last four CA at a chain end: their dihedral and the angle nearest the end."""
    return products(_harmonics(turn, 2), _powers(bend, 1))


def products(first: Float[Tensor, "k f"], second: Float[Tensor, "k g"]) -> Float[Tensor, "k h"]:
    """Every column of `first` times every column of `second`."""
    return (first[:, :, None] * second[:, None, :]).flatten(1)


def _middle(units: TraceUnits, *, harmonics: int, degree: int) -> Float[Tensor, "u f"]:
    left, right = _powers(units.bend[:-1], degree), _powers(units.bend[1:], degree)
    bends = [left[:, i] * right[:, j] for i in range(degree + 1) for j in range(degree + 1 - i)]
    return products(_harmonics(units.turn, harmonics), torch.stack(bends, dim=1))


def _powers(value: Float[Tensor, "k"], degree: int) -> Float[Tensor, "k f"]:
    return torch.stack([value**power for power in range(degree + 1)], dim=1)


def _harmonics(angle: Float[Tensor, "k"], order: int) -> Float[Tensor, "k f"]:
    multiples = angle[:, None] * torch.arange(1, order + 1, device=angle.device)
    constant = torch.ones_like(angle)[:, None]
    return torch.cat([constant, torch.cos(multiples), torch.sin(multiples)], dim=1)


def _shift(values: Tensor, by: int) -> Tensor:
    """Element i of the result is element i - `by`; what comes in from outside is zero."""
    return pad(values[:-by], (by, 0)) if by > 0 else pad(values[-by:], (0, -by))
