"""Moving a C-alpha trace as little as possible to distances that chains can have."""

import torch
from jaxtyping import Float
from torch import Tensor

BOND = 3.80
"""C-alpha distance across a trans peptide in Å; natural chains have 3.804 ± 0.028."""
_BEND_RANGE = (5.0, 7.3)
_CONTACT = 4.0
_ROUNDS = 40
_BOND_ROUNDS = 40
_EPS = 1e-6


def restrain_trace(ca: Float[Tensor, "n 3"]) -> Float[Tensor, "n 3"]:
    """Return the trace with bonds of 3.80 Å, possible bends and no clashes.

    Neighbours are brought to 3.80 Å, second neighbours to between 5.0 and 7.3 Å (angles of 82° to
    148°) and residues three or more apart to at least 4.0 Å, by projecting on one kind of
    constraint after the other (position-based dynamics, Müller et al. 2007, section 3.3), bonds
    last. Traces that fulfil all of it come back as they are, to rounding. Chirality is not touched.
    A trace far from any chain may keep some clashes; bonds are within 0.05 Å.
    """
    x = ca.clone()
    if len(x) < 2:
        return x
    for _ in range(_ROUNDS):
        x = _part(x)
        x = _span(x, 2, *_BEND_RANGE)
        x = _span(x, 1, BOND, BOND)
    for _ in range(_BOND_ROUNDS):
        x = _span(x, 1, BOND, BOND)
    return x


def _span(x: Tensor, span: int, low: float, high: float) -> Tensor:
    """Bring each residue and the one `span` further to a distance in a range.

    Pairs that share no residue are moved together: `2 * span` groups, one after the other.
    """
    x = x.clone()
    for first in range(2 * span):
        index = torch.arange(len(x) - span, device=x.device)
        index = index[index % (2 * span) == first]
        step = x[index + span] - x[index]
        length = step.norm(dim=-1, keepdim=True).clamp(min=_EPS)
        move = step * (0.5 * (1 - length.clamp(low, high) / length))
        x[index] += move
        x[index + span] -= move
    return x


def _part(x: Tensor) -> Tensor:
    """Push residues apart that are closer than a contact, each by the mean of its pushes."""
    offset = x[:, None] - x
    distance = offset.norm(dim=-1).clamp(min=_EPS)
    position = torch.arange(len(x), device=x.device)
    apart = (position[:, None] - position).abs() >= 3
    overlap = ((_CONTACT - distance) * apart).clamp(min=0)
    push = (offset * (0.5 * overlap / distance)[..., None]).sum(dim=1)
    return x + push / (overlap > 0).sum(dim=1).clamp(min=1)[:, None]
