"""Fixed encodings of the inputs: nothing in here is learned."""

import math

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import one_hot

from foldwright.models.fold.inputs import Alignment, Tokens

MAX_RESIDUE_OFFSET = 32
MAX_CHAIN_OFFSET = 2
RELATIVE_CHANNELS = 2 * (2 * MAX_RESIDUE_OFFSET + 2) + 1 + (2 * MAX_CHAIN_OFFSET + 2)
MSA_FEATURES = 34
NUM_DISTANCE_BINS = 39


def relative_encoding(
    tokens: Tokens, rows: slice, dtype: torch.dtype = torch.float32
) -> Float[Tensor, "r n 139"]:
    """Encode how token i (one of `rows`) stands to token j: Abramson et al. 2024, algorithm 3.

    One-hot residue offset within a chain, one-hot token offset within a residue, same entity,
    one-hot copy offset within an entity; the last class of each one-hot means "not comparable".
    """

    def offset(ids: Tensor, limit: int) -> Tensor:
        return (ids[rows, None] - ids[None, :]).clamp(-limit, limit) + limit

    def same(ids: Tensor) -> Tensor:
        return ids[rows, None] == ids[None, :]

    apart = 2 * MAX_RESIDUE_OFFSET + 1
    same_chain, same_entity = same(tokens.asym_id), same(tokens.entity_id)
    same_residue = same_chain & same(tokens.residue_index)
    residue = offset(tokens.residue_index, MAX_RESIDUE_OFFSET).where(same_chain, apart)
    token = offset(tokens.index, MAX_RESIDUE_OFFSET).where(same_residue, apart)
    other = 2 * MAX_CHAIN_OFFSET + 1
    copy = offset(tokens.sym_id, MAX_CHAIN_OFFSET).where(same_entity, other)
    parts = (
        one_hot(residue.long(), apart + 1),
        one_hot(token.long(), apart + 1),
        same_entity[..., None],
        one_hot(copy.long(), other + 1),
    )
    return torch.cat([part.to(dtype) for part in parts], dim=-1)


def column_features(tokens: Tokens, alignment: Alignment) -> Float[Tensor, "n f"]:
    """Class, profile and mean deletions of every token; as many classes as the profile has."""
    num_classes = alignment.profile.shape[-1]
    kind = one_hot(tokens.residue_class.long(), num_classes).to(alignment.profile.dtype)
    return torch.cat([kind, alignment.profile, alignment.deletion_mean[:, None]], dim=-1)


def alignment_features(
    rows: Int[Tensor, "s n"], deletions: Int[Tensor, "s n"], dtype: torch.dtype
) -> Float[Tensor, "s n 34"]:
    """One-hot letter, whether something was deleted, and how much of it (in [0, 1))."""
    count = deletions.to(dtype)[..., None]
    letters = one_hot(rows.long(), MSA_FEATURES - 2).to(dtype)
    return torch.cat([letters, count.clamp(0, 1), torch.atan(count / 3) * (2 / math.pi)], dim=-1)


def bond_matrix(
    bonds: Int[Tensor, "m 2"], num_tokens: int, dtype: torch.dtype
) -> Float[Tensor, "n n"]:
    """Return 1 at (first, second) token of every bond, in one direction only.

    The entry (0, 0) stays 0: unused slots of the bond list point there.
    """
    matrix = torch.zeros(num_tokens, num_tokens, dtype=dtype, device=bonds.device)
    matrix[bonds[:, 0].long(), bonds[:, 1].long()] = 1
    matrix[0, 0] = 0
    return matrix


def distance_bins(positions: Float[Tensor, "n 3"]) -> Int[Tensor, "n n"]:
    """Bin of every distance: 0 for none (below 3.25 Å or on an edge), 1 to 39 for the bins.

    Lower edges run from 3.25 to 50.75 Å; the last bin is open to 10,000 Å.
    """
    squared = (positions[:, None] - positions[None]).square().sum(-1)
    edges = torch.linspace(3.25, 50.75, NUM_DISTANCE_BINS, device=positions.device).square()
    edges = torch.cat([edges, edges.new_tensor([1e8])]).to(squared.dtype)
    below = torch.bucketize(squared, edges)
    inside = (below == torch.bucketize(squared, edges, right=True)) & (below <= NUM_DISTANCE_BINS)
    return below.where(inside, 0)


def template_directions(
    positions: Float[Tensor, "n 24 3"], present: Bool[Tensor, " n"]
) -> Float[Tensor, "n n 3"]:
    """Unit vectors to CA of j in the backbone frame of i, zero where a backbone is missing.

    The origin is CA, x points to C, and N lies in the xy plane with positive y. Norms are kept
    above 1e-6, so coincident atoms give zero.
    """
    n, ca, c = positions[:, 0], positions[:, 1], positions[:, 2]
    x = _unit(c - ca)
    y = _unit((n - ca) - x * ((n - ca) * x).sum(-1, keepdim=True))
    frame = torch.stack([x, y, torch.linalg.cross(x, y)], dim=-2)
    local = torch.einsum("ixd,ijd->ijx", frame, ca[None] - ca[:, None])
    both = present[:, None] & present[None]
    return _unit(local) * both[..., None]


def _unit(vector: Tensor) -> Tensor:
    return vector / vector.norm(dim=-1, keepdim=True).clamp(min=1e-6)
