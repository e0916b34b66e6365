"""Full backbone (N, CA, C, O) from a C-alpha trace."""

import functools
import io
from dataclasses import dataclass, fields
from importlib import resources

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import pad

from foldwright.geometry import trace_features
from foldwright.geometry.torsion import place_atom
from foldwright.geometry.trace_features import TraceUnits, trace_units
from foldwright.geometry.vectors import (
    at_least_float32,
    cross,
    dot,
    norm,
    normalise_across,
    without_autocast,
)

_TABLE_FILE = "backbone_table.npz"
# Bond angles take up this much of an odd CA-CA distance (radians); bonds take the rest.
_ANGLE_LIMIT = 0.14
# Settling of the N-CA-C angles: chosen on the val split for natural angles at no cost in RMSD.
_SETTLING_STEPS, _ANGLE_STIFFNESS, _DAMPING, _TRUST_LIMIT = 3, 20.0, 0.6, 0.985
# Dihedrals of an extended chain, for ends whose trace is too short to tell.
_EXTENDED_PHI, _EXTENDED_O = -1.3, -0.7
N, CA, C, O = range(4)  # noqa: E741 - the element's name


@dataclass(frozen=True)
class BackboneTable:
    """What was fitted to natural chains; pairs are the cosine and sine of an angle.

    `*_shape` are CA-C, C-N, N-CA and C-O lengths (Å), then CA-C-N, C-N-CA and CA-C-O
    angles (radians). `trans_*`, `cis_*` give the direction of the carbonyl around its
    CA-CA axis, `first_psi`, `last_phi` and `last_o` the dihedrals of chain ends.
    """

    trans_shape: Float[Tensor, "7"]
    cis_shape: Float[Tensor, "7"]
    n_ca_c: Float[Tensor, ""]
    trans_wide: Float[Tensor, "f 2"]
    trans_narrow: Float[Tensor, "g 2"]
    trans_left: Float[Tensor, "3 2"]
    trans_right: Float[Tensor, "3 2"]
    cis_narrow: Float[Tensor, "e 2"]
    cis_left: Float[Tensor, "3 2"]
    cis_right: Float[Tensor, "3 2"]
    first_psi: Float[Tensor, "d 2"]
    last_phi: Float[Tensor, "d 2"]
    last_o: Float[Tensor, "d 2"]

    def to(self, like: Tensor) -> "BackboneTable":
        """The table in the dtype and on the device of a tensor."""
        return BackboneTable(**{f.name: getattr(self, f.name).to(like) for f in fields(self)})


@functools.cache
def bundled_table() -> BackboneTable:
    """The table of this package; the file also holds, as text, how it was made."""
    data = resources.files("foldwright.geometry").joinpath(_TABLE_FILE).read_bytes()
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        return BackboneTable(
            **{f.name: torch.from_numpy(arrays[f.name]) for f in fields(BackboneTable)}
        )


def backbone_from_ca(ca: Float[Tensor, "n 3"]) -> Float[Tensor, "n 4 3"]:
    """Rebuild N, CA, C and O of every residue from the C-alpha trace (Å).

    CA stay where they are. Each peptide unit is planar with ideal bonds; its rotation
    about the CA-CA axis follows from the six CA around it by a regression on natural
    chains, then settles to leave good N-CA-C angles. The result moves and rotates with
    the trace, but is always made of L-amino acids. Neighbours over 4.25 or under 2.5 Å
    apart are chain ends to each other; CA-CA under 3.375 Å are cis. A residue whose CA is
    not finite comes back as NaN. Where one or two residues stand alone, the centre of
    the other residues decides their direction. `docs/reconstruction.md` states the error.
    """
    (ca,) = at_least_float32(ca)
    with without_autocast(ca):
        return _rebuilt(ca, bundled_table().to(ca))


def _rebuilt(ca: Float[Tensor, "n 3"], table: BackboneTable) -> Float[Tensor, "n 4 3"]:
    present = torch.isfinite(ca).all(dim=-1)
    ca = ca.masked_fill(~present[:, None], torch.nan)
    backbone = ca[:, None, :].repeat(1, 4, 1)
    if not bool(present.any()):
        return backbone
    centre = ca[present].mean(dim=0)
    linked = torch.zeros_like(present[1:])
    if len(ca) > 1:
        units = trace_units(ca)
        linked = units.linked
        expected = _carbonyl_directions(units, centre - ca[:-1], table)
        _place_units(backbone, units, expected, table)
        _place_first(backbone, units, table)
        _place_last(backbone, units, table)
    alone = present & ~pad(linked, (1, 0)) & ~pad(linked, (0, 1))
    if bool(alone.any()):
        _place_alone(backbone, alone, centre, table)
    return backbone


def _carbonyl_directions(
    units: TraceUnits, inward: Float[Tensor, "u 3"], table: BackboneTable
) -> Float[Tensor, "u 3"]:
    """Expected direction of O across each axis; the less certain, the shorter."""
    from_left, from_right = _carbonyl_angles(units, table)
    direction = torch.where(
        units.has_left[:, None],
        _turned(units.axis, units.left, from_left),
        _turned(units.axis, units.right, from_right),
    )
    undecided = ~(units.has_left | units.has_right)
    return torch.where(undecided[:, None], inward.nan_to_num(), direction)


def _carbonyl_angles(
    units: TraceUnits, table: BackboneTable
) -> tuple[Float[Tensor, "u 2"], Float[Tensor, "u 2"]]:
    """Expected cosine and sine of the angle of O from `left`, and from `right`."""
    trans = torch.where(
        units.has_far[:, None],
        trace_features.contract(trace_features.wide_factors(units), table.trans_wide),
        trace_features.narrow_features(units) @ table.trans_narrow,
    )
    left = trace_features.bend_features(units.bend[:-1])
    right = trace_features.bend_features(units.bend[1:])
    both = (units.has_left & units.has_right)[:, None]
    from_left = torch.where(both, trans, left @ table.trans_left)
    from_right = right @ table.trans_right
    if bool(units.is_cis.any()):
        cis = trace_features.cis_features(units) @ table.cis_narrow
        cis = torch.where(both, cis, left @ table.cis_left)
        from_left = torch.where(units.is_cis[:, None], cis, from_left)
        from_right = torch.where(units.is_cis[:, None], right @ table.cis_right, from_right)
    return from_left, from_right


def _turned(
    axis: Float[Tensor, "u 3"], zero: Float[Tensor, "u 3"], angle: Float[Tensor, "u 2"]
) -> Float[Tensor, "u 3"]:
    return angle[:, :1] * zero + angle[:, 1:] * cross(axis, zero)


def _settled(
    units: TraceUnits,
    expected: Float[Tensor, "u 3"],
    tilt: tuple[Float[Tensor, "u"], Float[Tensor, "u"]],
    n_ca_c: Float[Tensor, ""],
) -> Float[Tensor, "u 3"]:
    """Unit vectors near the expected ones that leave N-CA-C angles near their ideal.

    Each plane turns about its axis by damped Newton steps down the sum of a von Mises
    energy about its expected direction, its concentration from the length of that vector
    (Banerjee et al. 2005, equation 4.4 in two dimensions), and of a spring on the cosine
    of every N-CA-C. `tilt` is the angle of CA-C at the first and of N-CA at the second CA
    to the axis.
    """
    axis = units.axis
    plane = start = normalise_across(expected, axis)
    trust = norm(expected).clamp(max=_TRUST_LIMIT)
    concentration = trust * (2 - trust**2) / (1 - trust**2)
    cos_c, sin_c = torch.cos(tilt[0])[:, None], torch.sin(tilt[0])[:, None]
    cos_n, sin_n = torch.cos(tilt[1])[:, None], torch.sin(tilt[1])[:, None]
    joint = units.has_left[1:].to(axis)
    for _ in range(_SETTLING_STEPS):
        tangent = cross(axis, plane)
        to_c = (cos_c * axis + sin_c * plane)[1:]
        to_n = -(cos_n * axis + sin_n * plane)[:-1]
        strain = joint * (dot(to_n, to_c) - torch.cos(n_ca_c))
        by_c = pad(joint * dot(to_n, (sin_c * tangent)[1:]), (1, 0))
        by_n = pad(-joint * dot((sin_n * tangent)[:-1], to_c), (0, 1))
        force = pad(strain, (1, 0)) * by_c + pad(strain, (0, 1)) * by_n
        slope = 2 * _ANGLE_STIFFNESS * force - concentration * dot(tangent, start)
        curve = 2 * _ANGLE_STIFFNESS * (by_c**2 + by_n**2) + concentration + 1
        step = (-_DAMPING * slope / curve).clamp(-0.3, 0.3)[:, None]
        plane = torch.cos(step) * plane + torch.sin(step) * tangent
    return plane


def _place_units(
    backbone: Float[Tensor, "n 4 3"],
    units: TraceUnits,
    expected: Float[Tensor, "u 3"],
    table: BackboneTable,
) -> None:
    """C, O and next N of every linked unit."""
    flat = _planar_unit(units.length, table.trans_shape, turn_back=1.0)
    if bool(units.is_cis.any()):
        cis = _planar_unit(units.length, table.cis_shape, turn_back=-1.0)
        flat = torch.where(units.is_cis[:, None, None], cis, flat)
    flat = torch.where(units.linked[:, None, None], flat, 0.0)
    c, n = flat[:, 0], flat[:, 2]
    to_end = torch.where(units.linked, units.length, 1.0) - n[:, 0]
    tilt = torch.atan2(c[:, 1], c[:, 0]), torch.atan2(-n[:, 1], to_end)
    plane = _settled(units, expected, tilt, table.n_ca_c)
    start = backbone[:-1, CA]
    atoms = start[:, None] + flat[..., :1] * units.axis[:, None] + flat[..., 1:] * plane[:, None]
    at = units.linked.nonzero().squeeze(1)
    backbone[at, C], backbone[at, O], backbone[at + 1, N] = atoms[at].unbind(1)


def _planar_unit(
    length: Float[Tensor, "u"], shape: Float[Tensor, "7"], *, turn_back: float
) -> Float[Tensor, "u 3 2"]:
    """C, O and N along the axis and across it, for the given CA-CA distances.

    The unit is a planar zigzag of ideal bonds. The two angles at C and N open or
    close alike to meet the distance; what is left when they reach their limit is shared
    by the two bonds to CA.
    """
    natural, slope = _span(shape, turn_back)
    opening = ((length - natural) / slope).clamp(-_ANGLE_LIMIT, _ANGLE_LIMIT)
    c, o, n, end = _zigzag(shape, opening, turn_back)
    upright = end.conj() / end.abs()
    slack = (length - end.abs()) / 2
    flat = torch.stack([c, o, n], dim=1) * upright[:, None] + slack[:, None]
    return torch.view_as_real(flat)


def _span(shape: Float[Tensor, "7"], turn_back: float) -> tuple[Tensor, Tensor]:
    """CA-CA distance of the ideal unit, and its slope over the opening of the angles."""
    step = 0.02
    ends = _zigzag(shape, shape.new_tensor([-step, 0.0, step]), turn_back)[3].abs()
    return ends[1], (ends[2] - ends[0]) / (2 * step)


def _zigzag(
    shape: Float[Tensor, "7"], opening: Float[Tensor, "u"], turn_back: float
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """C, O, N and the second CA as complex numbers; the first CA is 0 and C on the real line."""
    ca_c, c_n, n_ca, c_o, at_c, at_n, at_o = shape
    one = torch.ones_like(opening)
    down = at_c + opening - torch.pi
    back = down + turn_back * (torch.pi - at_n - opening)
    c = torch.polar(ca_c * one, 0 * one)
    o = c + torch.polar(c_o * one, torch.pi - at_o + opening / 2)
    n = c + torch.polar(c_n * one, down)
    return c, o, n, n + torch.polar(n_ca * one, back)


def _place_first(backbone: Float[Tensor, "n 4 3"], units: TraceUnits, table: BackboneTable) -> None:
    """N of residues that begin a piece of chain."""
    at = (units.linked & ~units.has_left).nonzero().squeeze(1)
    known, features = _end_features(units, at + 1, at + 1)
    psi = torch.where(known, _angle(features @ table.first_psi), _EXTENDED_O + torch.pi)
    length, angle = table.trans_shape[2], table.n_ca_c
    n, c, ca = backbone[at + 1, N], backbone[at, C], backbone[at, CA]
    backbone[at, N] = place_atom(n, c, ca, length=length, angle=angle, dihedral=psi)


def _place_last(backbone: Float[Tensor, "n 4 3"], units: TraceUnits, table: BackboneTable) -> None:
    """C and O of residues that end a piece of chain."""
    unit = (units.linked & ~units.has_right).nonzero().squeeze(1)
    known, features = _end_features(units, unit - 1, unit)
    phi = torch.where(known, _angle(features @ table.last_phi), _EXTENDED_PHI)
    o_turn = torch.where(known, _angle(features @ table.last_o), _EXTENDED_O)
    shape, at = table.trans_shape, unit + 1
    n, ca = backbone[at, N], backbone[at, CA]
    c = place_atom(backbone[unit, C], n, ca, length=shape[0], angle=table.n_ca_c, dihedral=phi)
    o = place_atom(n, ca, c, length=shape[3], angle=shape[6], dihedral=o_turn)
    backbone[at, C], backbone[at, O] = c, o


def _end_features(
    units: TraceUnits, unit: Int[Tensor, "k"], residue: Int[Tensor, "k"]
) -> tuple[Bool[Tensor, "k"], Float[Tensor, "k d"]]:
    """Whether all four CA around `unit` are there, and what they say about a chain end."""
    inside = (unit >= 0) & (unit < len(units.turn))
    unit = unit.clamp(0, len(units.turn) - 1)
    known = inside & units.has_left[unit] & units.has_right[unit]
    return known, trace_features.end_features(units.turn[unit], units.bend[residue])


def _angle(cosine_and_sine: Float[Tensor, "k 2"]) -> Float[Tensor, "k"]:
    return torch.atan2(cosine_and_sine[:, 1], cosine_and_sine[:, 0])


def _place_alone(
    backbone: Float[Tensor, "n 4 3"],
    alone: Bool[Tensor, "n"],
    centre: Float[Tensor, "3"],
    table: BackboneTable,
) -> None:
    """Residues without a linked neighbour: extended, C turned to the middle of all residues."""
    at = alone.nonzero().squeeze(1)
    ca = backbone[at, CA]
    following = backbone[(at + 1) % len(backbone), CA]
    following = torch.where(torch.isfinite(following), following, ca)
    shape = table.trans_shape
    c = place_atom(
        following, centre, ca, length=shape[0], angle=torch.pi - table.n_ca_c, dihedral=0.0
    )
    n = place_atom(centre, c, ca, length=shape[2], angle=table.n_ca_c, dihedral=0.0)
    o = place_atom(n, ca, c, length=shape[3], angle=shape[6], dihedral=_EXTENDED_O)
    backbone[at, N], backbone[at, C], backbone[at, O] = n, c, o
