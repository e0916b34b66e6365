"""Which scores a summary shows, how they are averaged, and the gates they should pass."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from foldwright.evaluation.scores import Value


@dataclass(frozen=True)
class Gate:
    """A limit for the average of a score over a set of designs."""

    limit: float
    at_least: bool

    def passes(self, value: float) -> bool:
        """Whether a value is on the right side; the limit itself is."""
        return value >= self.limit if self.at_least else value <= self.limit


@dataclass(frozen=True)
class Metric:
    """One line of a summary.

    Attributes:
        key: name of the score in `DesignScores.row()`.
        label: what people call it.
        unit: `%` for shares, which are kept as numbers from 0 to 1.
        weight: score that counts what the value is an average of, so that the average over
            designs is that of all their bonds, residues or dihedrals together; None gives
            every design the same weight.
        gate: what a set of designs should reach.
    """

    key: str
    label: str
    unit: str = ""
    weight: str | None = None
    gate: Gate | None = None


METRICS = (
    Metric("bond_share", "CA-CA 3.6-4.0 or 2.8-3.1 Å", "%", "num_bonds", Gate(0.99, True)),
    Metric("bond_mean", "CA-CA mean", "Å", "num_bonds"),
    Metric("bond_min", "CA-CA shortest of a design", "Å"),
    Metric("bond_max", "CA-CA longest of a design", "Å"),
    Metric("clashes_34", "CA pairs < 3.4 Å per 1,000 residues", "", "length"),
    Metric("clashes_36", "CA pairs < 3.6 Å per 1,000 residues", "", "length", Gate(3.0, False)),
    Metric("clashes_40", "CA pairs < 4.0 Å per 1,000 residues", "", "length"),
    Metric("rg_in_band", "Rg within natural 5-95 %", "%", None, Gate(0.80, True)),
    Metric("radius_of_gyration", "Rg", "Å"),
    Metric("helix", "helix", "%", "length"),
    Metric("strand", "strand", "%", "length"),
    Metric("coil", "coil", "%", "length"),
    Metric("strand_rich", "designs with >= 10 % strand", "%", None, Gate(0.30, True)),
    Metric(
        "mirror_dihedral_share",
        "CA dihedrals -75 to -30° (mirror)",
        "%",
        "num_dihedrals",
        Gate(0.04, False),
    ),
    Metric("helix_dihedral_share", "CA dihedrals 30 to 75°", "%", "num_dihedrals"),
    Metric("left_helices", "left-handed helices per design"),
    Metric("angle_mean_deg", "CA angle mean", "°", "length"),
    Metric("angle_sd_deg", "CA angle spread", "°", "length"),
    Metric("angle_natural_share", "CA angles 84-146°", "%", "length"),
    Metric("contacts", "contacts < 8 Å per residue", "", "length"),
    Metric("long_range_contacts", "of these |i-j| >= 12", "", "length"),
    Metric("contact_order", "relative contact order"),
    Metric("ideal_bond_share", "N-CA-C-O bonds within 0.05 Å", "%", "length"),
    Metric("ideal_angle_share", "N-CA-C angles within 10°", "%", "length"),
    Metric("trans_omega_share", "trans peptides", "%", "length"),
    Metric("negative_phi_share", "phi < 0", "%", "length"),
    Metric("helix_box_share", "phi, psi of a helix", "%", "length"),
    Metric("strand_box_share", "phi, psi of a strand", "%", "length"),
    Metric("left_box_share", "phi, psi of a left-handed helix", "%", "length"),
)


def average(metric: Metric, rows: Sequence[Mapping[str, Value]]) -> float | None:
    """Average a score over designs with the weight of its metric; None if no design has it."""
    total = weights = 0.0
    for row in rows:
        value = row[metric.key]
        if value is None:
            continue
        weight = 1.0 if metric.weight is None else _number(row[metric.weight])
        total += weight * _number(value)
        weights += weight
    return total / weights if weights else None


def _number(value: Value) -> float:
    assert isinstance(value, int | float), f"{value!r} cannot be averaged"
    return float(value)
