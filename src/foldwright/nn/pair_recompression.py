"""Bring the sum of factorised pairs, whose rank is the sum of the ranks, back to one rank."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from foldwright.geometry.vectors import at_least_float32, without_autocast
from foldwright.nn.pair import FactorizedPair
from foldwright.nn.rank_products import apply_ranks


def add_pairs(a: FactorizedPair, b: FactorizedPair) -> FactorizedPair:
    """Add two factorised pairs, exactly: their factors side by side."""
    return FactorizedPair(torch.cat([a.left, b.left], dim=2), torch.cat([a.right, b.right], dim=2))


class RankMix(nn.Module):
    """Recompress the sum of two factorised pairs to one rank by a learned mix.

    Each factor of the sum is mixed back to rank r by a learned matrix that begins as the sum of the
    two halves, so that a zero update leaves the pair as it is. The result is not the sum of the two
    pairs. A residue's mix needs its own factors only.
    """

    def __init__(self, rank: int) -> None:
        super().__init__()
        self.left = nn.Parameter(torch.eye(rank).repeat(1, 2))
        self.right = nn.Parameter(torch.eye(rank).repeat(1, 2))

    def forward(self, z: FactorizedPair, update: FactorizedPair) -> FactorizedPair:
        """Add an update of the same rank."""
        return FactorizedPair(
            _mix(self.left, z.left, update.left), _mix(self.right, z.right, update.right)
        )


class RankTruncation(nn.Module):
    """Recompress the sum of two factorised pairs to the best pair of one rank."""

    def forward(self, z: FactorizedPair, update: FactorizedPair) -> FactorizedPair:
        """Add an update whose factors are zero on padding."""
        return truncate_rank(add_pairs(z, update), z.left.shape[2])


def truncate_rank(z: FactorizedPair, rank: int) -> FactorizedPair:
    """Best approximation of a pair by one of lower rank, channel by channel (Eckart-Young).

    QR of both factors and the singular value decomposition of the small core: O(n r^2 c) work, no
    pair tensor. Exact where the rank suffices. The pair is projected on its leading right singular
    vectors, and the gradient is that of the projection with these vectors held: equal to the full
    gradient where nothing is cut off, finite where singular values coincide. Of each singular
    vector the largest entry is positive.
    """
    with without_autocast(z.left):
        left, right = (wide.permute(0, 3, 1, 2) for wide in at_least_float32(z.left, z.right))
        vectors, values = _leading(left.detach(), right.detach(), rank)
        scale = values.sqrt()[..., None, :]
        share = torch.where(scale > 0, scale, torch.inf).reciprocal()
        left = left @ ((right.transpose(-1, -2) @ vectors) * share)
        return FactorizedPair(
            left.permute(0, 2, 3, 1).to(z.left.dtype),
            # V V^T R' for the projected right factor: V itself where V is held
            (vectors * scale).permute(0, 2, 3, 1).to(z.right.dtype),
        )


@torch.no_grad()
def _leading(
    left: Float[Tensor, "b c n r"], right: Float[Tensor, "b c n r"], rank: int
) -> tuple[Float[Tensor, "b c n q"], Float[Tensor, "b c q"]]:
    """Right singular vectors and singular values of left right^T, the largest `rank` of them."""
    _, left_core = torch.linalg.qr(left)
    basis, right_core = torch.linalg.qr(right)
    _, values, vectors = torch.linalg.svd(left_core @ right_core.transpose(-1, -2))
    found = min(rank, values.shape[-1])
    vectors = basis @ vectors[..., :found, :].transpose(-1, -2)
    largest = vectors.abs().argmax(dim=-2, keepdim=True)
    vectors = vectors * vectors.gather(-2, largest).sign()
    values = values[..., :found]
    # what rounding leaves of absent ranks would otherwise be divided by
    floor = values[..., :1] * torch.finfo(values.dtype).eps * left.shape[-1]
    values = values.where(values > floor, 0)
    missing = (0, rank - found)
    return nn.functional.pad(vectors, missing), nn.functional.pad(values, missing)


def _mix(weight: Tensor, z: Tensor, update: Tensor) -> Tensor:
    own, added = weight.t()[None, ..., None].chunk(2, dim=1)
    return apply_ranks(z, own) + apply_ranks(update, added)
