"""Scores of a predicted structure (Abramson et al. 2024, algorithm 31)."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from foldwright.models.fold.config import FoldConfig
from foldwright.models.fold.features import NUM_DISTANCE_BINS, distance_bins
from foldwright.models.fold.inputs import FoldInputs, Tokens
from foldwright.models.fold.network.pair_parts import pairformer_blocks
from foldwright.models.fold.network.pairformer import PairformerBlock
from foldwright.models.fold.network.template import bin_linear
from foldwright.models.fold.network.workspace import Workspace, row_blocks
from foldwright.nn.linear import Linear

NUM_ERROR_BINS = 64
NUM_LDDT_BINS = 50


@dataclass(frozen=True)
class Confidence:
    """Scores of one structure: lDDT in percent, errors in Å, probabilities in [0, 1].

    `tm_global` and `tm_interface` are the expected TM terms of every aligned pair, scaled by
    the size of the whole input and of the pair's two chains.
    """

    lddt: Float[Tensor, "n 24"]
    resolved: Float[Tensor, "n 24"]
    aligned_error: Float[Tensor, "n n"]
    distance_error: Float[Tensor, "n n"]
    mean_distance_error: Float[Tensor, ""]
    tm_global: Float[Tensor, "n n"]
    tm_interface: Float[Tensor, "n n"]


class ConfidenceHead(nn.Module):
    """Pairformer blocks on the trunk's results and the structure's distances, then scores."""

    def __init__(self, config: FoldConfig) -> None:
        super().__init__()
        target, pair, single = config.target_channels, config.pair_channels, config.single_channels
        family = config.differences
        self.slots = every_slot if family.packed_atoms is None else packed_slots
        self.error_logits = logits_of_sum if family.sums_before_scores else sum_of_logits
        num_atoms = family.packed_atoms or 24
        self.single_norm = ClampedNorm(single) if family.scores_normed_single else nn.Identity()
        self.columns_target = Linear(target, pair, bias=False)
        self.rows_target = Linear(target, pair, bias=False)
        self.distances = Linear(NUM_DISTANCE_BINS, pair, bias=False)
        self.lengths = Linear(1, pair, bias=False) if family.scores_lengths else None
        self.blocks = pairformer_blocks(config, config.num_confidence_blocks)
        self.distance_norm = nn.LayerNorm(pair)
        self.distance_half_logits = Linear(pair, NUM_ERROR_BINS, bias=False, init="final")
        self.aligned_norm = nn.LayerNorm(pair)
        self.aligned_logits = Linear(pair, NUM_ERROR_BINS, bias=False, init="final")
        self.lddt_norm = nn.LayerNorm(single)
        self.lddt_logits = Linear(single, num_atoms * NUM_LDDT_BINS, bias=False, init="final")
        self.resolved_norm = nn.LayerNorm(single)
        self.resolved_logits = Linear(single, num_atoms * 2, bias=False, init="final")

    def forward(
        self,
        inputs: FoldInputs,
        positions: Float[Tensor, "n 24 3"],
        target: Float[Tensor, "n f"],
        pair: Float[Tensor, "n n z"],
        single: Float[Tensor, "n s"],
        work: Workspace,
    ) -> Confidence:
        """Score one structure; padding pairs have zero errors."""
        tokens, real = inputs.tokens, inputs.tokens.pair_mask
        places = inputs.pseudo_beta.take(positions, dims=2)
        bins = distance_bins(places).where(real, 0)
        dtype = self.distances.weight.dtype
        target, single = target.to(dtype), self.single_norm(single).to(dtype, copy=True)
        columns, first = self.columns_target(target), self.rows_target(target)
        pair = pair.to(dtype, copy=True)
        for rows in row_blocks(pair):
            pair[rows].add_(columns[None])
            pair[rows].add_(first[rows, None])
            pair[rows].add_(bin_linear(self.distances, bins[rows]))
            if self.lengths is not None:
                apart = (places[rows, None] - places[None]).norm(dim=-1, keepdim=True)
                pair[rows].add_(self.lengths(apart.to(dtype)))
        for block in self.blocks:
            assert isinstance(block, PairformerBlock)
            block.update(pair, single, tokens.mask, work)
        pair, single = pair.float(), single.float()
        aligned, distance, tm_global, tm_interface = self._pair_scores(pair, tokens)
        lddt = torch.softmax(
            self.lddt_logits(self.lddt_norm(single)).unflatten(-1, (-1, NUM_LDDT_BINS)), dim=-1
        )
        centres = (torch.arange(NUM_LDDT_BINS, device=lddt.device) + 0.5) / NUM_LDDT_BINS
        resolved = self.resolved_logits(self.resolved_norm(single)).unflatten(-1, (-1, 2))
        return Confidence(
            lddt=self.slots(100 * (lddt @ centres.to(lddt.dtype)), inputs.reference.real),
            resolved=self.slots(torch.softmax(resolved, dim=-1)[..., 1], inputs.reference.real),
            aligned_error=aligned * real,
            distance_error=distance * real,
            mean_distance_error=(distance * real).sum() / real.sum().clamp(min=1),
            tm_global=tm_global,
            tm_interface=tm_interface,
        )

    def _pair_scores(self, pair: Tensor, tokens: Tokens) -> tuple[Tensor, ...]:
        """Expected aligned error, distance error and both TM terms, in chunks of rows."""
        n = len(tokens)
        centre = 0.25 + 0.5 * torch.arange(NUM_ERROR_BINS, device=pair.device, dtype=pair.dtype)
        whole = tm_weights(tokens.mask.sum()[None], centre)[0]
        sizes = chain_pair_sizes(tokens)
        results = [pair.new_empty(n, n) for _ in range(4)]
        for rows in row_blocks(pair):
            norm, linear = self.distance_norm, self.distance_half_logits
            distance = self.error_logits(norm, linear, pair[rows], pair[:, rows])
            aligned = torch.softmax(self.aligned_logits(self.aligned_norm(pair[rows])), dim=-1)
            results[0][rows] = aligned @ centre
            results[1][rows] = torch.softmax(distance, dim=-1) @ centre
            results[2][rows] = aligned @ whole
            results[3][rows] = (aligned * tm_weights(sizes[rows], centre)).sum(-1)
        return tuple(results)


class ClampedNorm(nn.Module):
    """Layer norm of values cut to [-512, 512]."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layer_norm = nn.LayerNorm(channels)

    def forward(self, x: Float[Tensor, "*batch c"]) -> Float[Tensor, "*batch c"]:
        """Normalise the last axis."""
        normed: Tensor = self.layer_norm(x.clamp(-512, 512))
        return normed


def sum_of_logits(
    norm: nn.LayerNorm,
    linear: Linear,
    rows: Float[Tensor, "r n c"],
    columns: Float[Tensor, "n r c"],
) -> Float[Tensor, "r n k"]:
    """Symmetric logits: those of (i, j) and of (j, i), each normalised on its own."""
    logits: Tensor = linear(norm(rows)) + linear(norm(columns)).transpose(0, 1)
    return logits


def logits_of_sum(
    norm: nn.LayerNorm,
    linear: Linear,
    rows: Float[Tensor, "r n c"],
    columns: Float[Tensor, "n r c"],
) -> Float[Tensor, "r n k"]:
    """Symmetric logits of the sum of (i, j) and (j, i)."""
    logits: Tensor = linear(norm(rows + columns.transpose(0, 1)))
    return logits


def every_slot(scores: Float[Tensor, "n 24"], real: Bool[Tensor, "n 24"]) -> Float[Tensor, "n 24"]:
    """Scores of slots as they are: the head has one for every slot, empty ones too."""
    return scores


def packed_slots(scores: Float[Tensor, "n m"], real: Bool[Tensor, "n 24"]) -> Float[Tensor, "n 24"]:
    """Bring scores of the first, second ... real atom of a token to the slots of these atoms.

    An empty slot has the score of the atom before it, which nothing reads.
    """
    place = (real.cumsum(1) - 1).clamp(min=0, max=scores.shape[1] - 1)
    return scores.gather(1, place)


def chain_pair_sizes(tokens: Tokens) -> Tensor:
    """Count the real tokens of the two chains of every pair; of the one chain if it is one."""
    same: Bool[Tensor, "n n"] = tokens.asym_id[:, None] == tokens.asym_id[None]
    size = (same & tokens.mask[None]).sum(1)
    return torch.where(same, size[:, None], size[:, None] + size[None])


def tm_weights(size: Tensor, error: Float[Tensor, " k"]) -> Float[Tensor, "*batch k"]:
    """TM term of every error for structures of `size` residues (Zhang & Skolnick 2004).

    Sizes below 19 count as 19, where the scale d0 is still positive.
    """
    d0 = 1.24 * (size.clamp(min=19).to(error.dtype) - 15) ** (1 / 3) - 1.8
    return 1 / (1 + (error / d0[..., None]).square())
