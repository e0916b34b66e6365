"""Pair representations from residue features and coordinates, as FlashIPA builds them."""

import math
from collections.abc import Callable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from foldwright.nn.embedding import gaussian_basis
from foldwright.nn.linear import Linear
from foldwright.nn.neighbours import choose_neighbours
from foldwright.nn.pair import DensePair, FactorizedPair

_MAXIMUM = 20.0
_MINIMUM = 1e-3
_NUM_BINS = 22
_INDEX_PERIOD = 2056

DistanceEncoding = Callable[[Tensor], Tensor]


def distance_bins(distance: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch c"]:
    """One-hot of 22 bins up to 20 Å, the last one open; the edges, and 0 Å, are in no bin."""
    lower = torch.linspace(
        _MINIMUM, _MAXIMUM, _NUM_BINS, dtype=distance.dtype, device=distance.device
    )
    upper = torch.cat([lower[1:], lower.new_full((1,), 1e8)])
    return ((distance[..., None] > lower) & (distance[..., None] < upper)).to(distance.dtype)


def index_encoding(
    index: Int[Tensor, "*batch"], *, channels: int, dtype: torch.dtype
) -> Float[Tensor, "*batch c"]:
    """Sines, then cosines, of v pi / 2056^(2k/D) for k below D/2; v may be negative."""
    k = torch.arange(channels // 2, device=index.device, dtype=torch.float64)
    angle = index[..., None].double() * math.pi / _INDEX_PERIOD ** (2 * k / channels)
    return torch.cat([angle.sin(), angle.cos()], dim=-1).to(dtype)


class DenseEdgeEmbedder(nn.Module):
    """Residue features, offset along the chain and two distances of every pair (`orig_2d_bias`).

    With a `factorizer` the dense tensor is built and then factorised (`flash_2d_factorize_bias`):
    such a pair is cheap to attend to but not to make.
    """

    def __init__(
        self, c_s: int, c_p: int, *, feat_dim: int, factorizer: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.feat_dim = feat_dim
        self.linear_s_p = Linear(c_s, feat_dim)
        self.linear_relpos = Linear(feat_dim, feat_dim)
        self.edge_embedder = _edge_network(3 * feat_dim + 2 * _NUM_BINS, c_p)
        self.factorizer = factorizer

    def forward(
        self,
        node_embed: Float[Tensor, "b n c_s"],
        translations: Float[Tensor, "b n 3"],
        node_mask: Bool[Tensor, "b n"],
        trans_sc: Float[Tensor, "b n 3"] | None = None,
    ) -> DensePair | FactorizedPair:
        """Embed every pair; coordinates in Å, `trans_sc` (self-conditioning) defaults to them."""
        n = node_mask.shape[1]
        place = torch.arange(n, device=node_mask.device)
        features = self.linear_s_p(node_embed)
        offset = index_encoding(
            place[:, None] - place, channels=self.feat_dim, dtype=node_embed.dtype
        )
        trans_sc = translations if trans_sc is None else trans_sc
        parts = [
            features[:, :, None].expand(-1, -1, n, -1),
            features[:, None].expand(-1, n, -1, -1),
            self.linear_relpos(offset).expand(len(node_mask), -1, -1, -1),
            *(distance_bins(_all_distances(x)) for x in (translations, trans_sc)),
        ]
        z = self.edge_embedder(torch.cat(parts, dim=-1))
        z = z * (node_mask[:, :, None] & node_mask[:, None])[..., None]
        if self.factorizer is None:
            return DensePair(z)
        factors: FactorizedPair = self.factorizer(z)
        return factors


class LinearFactorizer(nn.Module):
    """Factorise a dense pair tensor by one map over its rows and over its columns.

    The norm over ranks loses everything at rank 1 and keeps signs only at rank 2, as in FlashIPA.
    """

    def __init__(self, max_len: int, c_p: int, rank: int) -> None:
        super().__init__()
        self.max_len = max_len
        self.length_compressor = Linear(max_len, rank, bias=False)
        self.inner_compressor = Linear(c_p, c_p, bias=False)
        self.length_norm = nn.LayerNorm(rank)
        self.inner_norm = nn.LayerNorm(c_p)

    def forward(self, z: Float[Tensor, "b n n c"]) -> FactorizedPair:
        """Return factors of rows and of columns, divided by the root of the rank."""
        n = z.shape[1]
        if n > self.max_len:
            raise ValueError(
                f"this factorizer was built for {self.max_len} residues, got {n}: "
                "build it with a larger max_len"
            )
        # FlashIPA's first factor sums over the rows of the pair tensor, the second over columns
        rows_last, columns_last = z.permute(0, 2, 3, 1), z.permute(0, 1, 3, 2)
        return FactorizedPair(self._compress(rows_last), self._compress(columns_last))

    def _compress(self, z: Tensor) -> Tensor:
        z = nn.functional.pad(z, (0, self.max_len - z.shape[-1]))
        ranks = self.length_norm(self.length_compressor(z)).transpose(-1, -2)
        factor: Tensor = self.inner_norm(self.inner_compressor(ranks))
        return factor / math.sqrt(ranks.shape[-2])


class NeighbourEdgeEmbedder(nn.Module):
    """Factors of the pair representation from each residue's nearest others (`flash_1d_bias`).

    Linear in memory at any rank. Unlike FlashIPA, padding takes no part in the search, which runs
    in chunks. `num_rbf` puts that many Gaussians of the distance in place of FlashIPA's 22 bins.
    """

    def __init__(
        self,
        c_s: int,
        c_p: int,
        *,
        z_rank: int,
        feat_dim: int,
        num_neighbours: int,
        num_rbf: int | None = None,
    ) -> None:
        super().__init__()
        self.rank = z_rank
        self.feat_dim = feat_dim
        self.num_neighbours = num_neighbours
        self.num_rbf = num_rbf
        num_distances = _NUM_BINS if num_rbf is None else num_rbf
        slots = 2 * z_rank
        seen = num_neighbours * (num_distances + feat_dim)
        self.linear_s_p = Linear(c_s, slots * feat_dim)
        self.linear_relpos = Linear(feat_dim, 2 * slots * feat_dim)
        self.linear_t_distogram = Linear(seen, slots * num_distances)
        self.linear_sc_distogram = Linear(seen, slots * num_distances)
        self.edge_embedder = _edge_network(3 * feat_dim + 2 * num_distances, c_p)

    def forward(
        self,
        node_embed: Float[Tensor, "b n c_s"],
        translations: Float[Tensor, "b n 3"],
        node_mask: Bool[Tensor, "b n"],
        trans_sc: Float[Tensor, "b n 3"] | None = None,
    ) -> FactorizedPair:
        """Embed every residue; coordinates in Å, `trans_sc` (self-conditioning) defaults to them.

        Factors of padding are zero.
        """
        b, n = node_mask.shape
        place = torch.arange(n, device=node_mask.device).expand(b, n)
        position = index_encoding(place, channels=self.feat_dim, dtype=node_embed.dtype)
        trans_sc = translations if trans_sc is None else trans_sc
        parts = [
            self.linear_s_p(node_embed),
            self.linear_relpos(position),
            self.linear_t_distogram(self._surroundings(translations, node_mask)),
            self.linear_sc_distogram(self._surroundings(trans_sc, node_mask)),
        ]
        slots = torch.cat([part.unflatten(-1, (2, self.rank, -1)) for part in parts], dim=-1)
        factors = self.edge_embedder(slots) * node_mask[:, :, None, None, None]
        return FactorizedPair(*factors.unbind(2))

    def _surroundings(self, positions: Tensor, mask: Tensor) -> Tensor:
        """Distances and indices of the nearest others, in order; zero where there is none."""
        index, present = choose_neighbours(
            positions, mask, count=self.num_neighbours + 1, choice="coordinate"
        )
        index, present = index[..., 1:], present[..., 1:]
        flat = index.flatten(1)[..., None].expand(-1, -1, 3)
        others = positions.gather(1, flat).unflatten(1, index.shape[1:])
        distance = (others - positions[:, :, None]).norm(dim=-1)
        where = index_encoding(index, channels=self.feat_dim, dtype=positions.dtype)
        seen = torch.cat([self._encode(distance), where], dim=-1) * present[..., None]
        missing = self.num_neighbours - index.shape[2]
        return nn.functional.pad(seen, (0, 0, 0, missing)).flatten(-2)

    def _encode(self, distance: Tensor) -> Tensor:
        if self.num_rbf is None:
            return distance_bins(distance)
        return gaussian_basis(distance, maximum=_MAXIMUM, count=self.num_rbf)


def _edge_network(channels: int, c_p: int) -> nn.Sequential:
    return nn.Sequential(
        Linear(channels, c_p, init="relu"),
        nn.ReLU(),
        Linear(c_p, c_p, init="relu"),
        nn.ReLU(),
        Linear(c_p, c_p),
        nn.LayerNorm(c_p),
    )


def _all_distances(positions: Tensor) -> Tensor:
    return (positions[:, :, None] - positions[:, None]).norm(dim=-1)
