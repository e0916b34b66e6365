"""Similarity of two conformations of matched residues: RMSD, TM-score, lDDT."""

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from foldwright.geometry.distances import pairwise_distances
from foldwright.geometry.superposition import superpose
from foldwright.geometry.vectors import at_least_float32, norm
from foldwright.runtime.errors import InputError

LDDT_THRESHOLDS = (0.5, 1.0, 2.0, 4.0)
_REFINEMENTS = 20
# Distances of one block of TM-score seeds.
_SEED_ELEMENTS = 1 << 19
# Distances of one block of lDDT rows: a chain of 512 is one block.
_BLOCK_ELEMENTS = 1 << 18


def rmsd(
    mobile: Float[Tensor, "*batch n 3"],
    target: Float[Tensor, "*batch n 3"],
    *,
    mask: Bool[Tensor, "*batch n"] | None = None,
) -> Float[Tensor, "*batch"]:
    """Root mean square deviation in Å as the points stand, without superposition.

    The least one over all rigid motions is `superpose(mobile, target).rmsd`. An item
    without real points gives NaN. Two equal conformations have gradient zero.
    """
    mobile, target = at_least_float32(mobile, target)
    square = (mobile - target).square().sum(dim=-1)
    count = torch.full_like(square[..., 0], square.shape[-1])
    if mask is not None:
        square, count = square.masked_fill(~mask, 0.0), mask.sum(dim=-1).to(square)
    mean = square.sum(dim=-1) / count
    zero = mean == 0
    return torch.sqrt(mean.masked_fill(zero, 1.0)).masked_fill(zero, 0.0)


def lddt(
    predicted: Float[Tensor, "*batch n 3"],
    target: Float[Tensor, "*batch n 3"],
    *,
    mask: Bool[Tensor, "*batch n"] | None = None,
    cutoff: float = 15.0,
) -> Float[Tensor, "*batch"]:
    """Local distance difference test over one point per residue, from 0 to 1.

    The share of target distances under `cutoff` (Å) that the prediction keeps within
    0.5, 1, 2 and 4 Å, averaged over the four; no superposition. It cannot see mirror
    images. An item with no target distance under the cutoff gives NaN.
    Mariani et al. 2013; with CA points, CA-lDDT.
    """
    return _share(*_kept_pairs(predicted, target, mask, cutoff, _within))


def smooth_lddt(
    predicted: Float[Tensor, "*batch n 3"],
    target: Float[Tensor, "*batch n 3"],
    *,
    mask: Bool[Tensor, "*batch n"] | None = None,
    cutoff: float = 15.0,
) -> Float[Tensor, "*batch"]:
    """Differentiable lDDT: the steps of `lddt` become sigmoids, so a perfect score is 0.80.

    One minus it is a loss. An item with no target distance under the cutoff gives NaN, and its
    gradient is zero. Memory is linear in the length: of long chains blocks of rows are computed,
    and computed again in the backward pass.
    Abramson et al. 2024, supplement, algorithm 27 (without its weights for nucleotides).
    """
    return _share(*_kept_pairs(predicted, target, mask, cutoff, _softly_within))


def tm_score(
    mobile: Float[Tensor, "n 3"],
    target: Float[Tensor, "n 3"],
    *,
    mask: Bool[Tensor, "n"] | None = None,
    target_length: int | None = None,
) -> Float[Tensor, ""]:
    """TM-score of residues matched one to one, the greatest found over superpositions.

    Normalised by `target_length`, or by the number of real residues. Like every
    program for it this is a search and so a lower bound: superpositions start from
    fragments of n, n/2, n/4 ... 4 residues at half-overlapping places and are refined
    on the residues they bring close. Zhang and Skolnick 2004, equation 1 and the search
    described there, which starts from every place. Three residues are the least.

    Raises:
        InputError: fewer than three real residues.
    """
    mobile, target = at_least_float32(mobile, target)
    if mask is not None:
        mobile, target = mobile[mask], target[mask]
    num_points = len(mobile)
    if num_points < 3:
        raise InputError(f"TM-score needs at least 3 matched residues: got {num_points}.")
    length = num_points if target_length is None else target_length
    scale = tm_scale(length)
    seeds = _fragment_seeds(num_points).to(mobile.device)
    block = max(1, _SEED_ELEMENTS // num_points)
    sums = [_refine(mobile, target, chosen, scale) for chosen in seeds.split(block)]
    return torch.stack(sums).max() / length


def tm_scale(length: int) -> float:
    """Distance d0 in Å at which a residue counts half; never under 0.5 Å.

    Zhang and Skolnick 2004, equation 2.
    """
    return max(0.5, 1.24 * max(length - 15, 0) ** (1 / 3) - 1.8)


def _refine(
    mobile: Float[Tensor, "n 3"],
    target: Float[Tensor, "n 3"],
    chosen: Bool[Tensor, "s n"],
    scale: float,
) -> Float[Tensor, ""]:
    """Greatest sum of TM terms met while each seed grows to the residues it brings close."""
    cutoff = min(max(scale, 4.5), 8.0)
    moving, fixed = mobile.expand(len(chosen), -1, -1), target.expand(len(chosen), -1, -1)
    best = mobile.new_zeros(())
    for step in range(_REFINEMENTS):
        distance = norm(superpose(moving, fixed, mask=chosen).apply(moving) - fixed)
        best = torch.maximum(best, (1 / (1 + (distance / scale).square())).sum(dim=-1).max())
        # A superposition needs three points: the nearest ones, where none is near enough.
        third = distance.kthvalue(3, dim=-1, keepdim=True).values
        reach = third.clamp(min=cutoff - 1 if step == 0 else cutoff + 1)
        grown = distance <= reach
        changed = (grown != chosen).any(dim=-1)
        if not bool(changed.any()):
            break
        chosen, moving, fixed = grown[changed], moving[changed], fixed[changed]
    return best


def _fragment_seeds(num_points: int) -> Bool[Tensor, "s n"]:
    index = torch.arange(num_points)
    seeds, length = [], num_points
    while length >= min(4, num_points):
        starts = torch.arange(0, num_points - length + 1, max(1, length // 2))
        seeds.append((index >= starts[:, None]) & (index < starts[:, None] + length))
        length //= 2
    return torch.cat(seeds)


def _share(kept: Tensor, count: Tensor) -> Tensor:
    # NaN is put in after a division that is safe, so that no gradient is NaN
    return (kept / count.clamp(min=1)).masked_fill(count == 0, torch.nan)


def _within(change: Tensor) -> Tensor:
    return torch.stack([change < threshold for threshold in LDDT_THRESHOLDS]).to(change).mean(0)


def _softly_within(change: Tensor) -> Tensor:
    return torch.stack([torch.sigmoid(cut - change) for cut in LDDT_THRESHOLDS]).mean(0)


def _kept_pairs(
    predicted: Float[Tensor, "*batch n 3"],
    target: Float[Tensor, "*batch n 3"],
    mask: Bool[Tensor, "*batch n"] | None,
    cutoff: float,
    keep: Callable[[Tensor], Tensor],
) -> tuple[Float[Tensor, "*batch"], Float[Tensor, "*batch"]]:
    """Sum of `keep(change)` over the ordered pairs that count, and how many these are."""
    predicted, target = at_least_float32(predicted, target)
    if mask is None:
        mask = torch.ones_like(target[..., 0], dtype=torch.bool)
    # NaN of absent residues would poison the gradient even through a mask.
    predicted = predicted.masked_fill(~mask[..., None], 0.0)
    target = target.masked_fill(~mask[..., None], 0.0)
    num_points = target.shape[-2]
    rows = max(1, _BLOCK_ELEMENTS // max(1, mask.numel()))
    if rows >= num_points:
        return _kept_in_rows(predicted, target, mask, slice(0, num_points), cutoff, keep)
    kept = count = torch.zeros_like(target[..., 0, 0])
    for start in range(0, num_points, rows):
        block = slice(start, start + rows)
        part: tuple[Tensor, Tensor] = checkpoint(
            _kept_in_rows, predicted, target, mask, block, cutoff, keep, use_reentrant=False
        )
        kept, count = kept + part[0], count + part[1]
    return kept, count


def _kept_in_rows(
    predicted: Tensor,
    target: Tensor,
    mask: Tensor,
    rows: slice,
    cutoff: float,
    keep: Callable[[Tensor], Tensor],
) -> tuple[Tensor, Tensor]:
    true_distance = pairwise_distances(target[..., rows, :], target)
    index = torch.arange(target.shape[-2], device=target.device)
    included = (true_distance < cutoff) & (index[rows, None] != index)
    included = included & mask[..., rows, None] & mask[..., None, :]
    change = (pairwise_distances(predicted[..., rows, :], predicted) - true_distance).abs()
    kept = keep(change.masked_fill(~included, 0.0)) * included
    return kept.sum(dim=(-2, -1)), included.sum(dim=(-2, -1)).to(kept)
