"""FlashIPA's stack of layers and the two functions its users know."""

import math
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from foldwright.geometry.quaternion import quaternion_to_matrix
from foldwright.geometry.rigid import Rigid
from foldwright.nn.edge_embedder import NeighbourEdgeEmbedder
from foldwright.nn.linear import Linear
from foldwright.nn.pair import DensePair, FactorizedPair
from foldwright.nn.pair_point_attention import PairPointAttention
from foldwright.nn.point_attention import LigandAtoms, LigandKeys

_NM_PER_ANGSTROM = 0.1

TrunkPair = DensePair | FactorizedPair


class NodeTransition(nn.Module):
    """Three linear layers with a residual and a norm."""

    def __init__(self, c: int) -> None:
        super().__init__()
        self.linear_1 = Linear(c, c, init="relu")
        self.linear_2 = Linear(c, c, init="relu")
        self.linear_3 = Linear(c, c, init="final")
        self.ln = nn.LayerNorm(c)

    def forward(self, s: Float[Tensor, "b n c"]) -> Float[Tensor, "b n c"]:
        """Return the transformed features, residual included."""
        hidden = torch.relu(self.linear_2(torch.relu(self.linear_1(s))))
        out: Tensor = self.ln(s + self.linear_3(hidden))
        return out


class EdgeTransition(nn.Module):
    """Update of pairs by residue features: of every pair, or of both factors (`rank` given)."""

    def __init__(self, c_s: int, c_z: int, *, rank: int | None) -> None:
        super().__init__()
        self.rank = rank
        bias_dim = c_s // 2
        hidden = 2 * bias_dim + c_z
        self.initial_embed = Linear(c_s, bias_dim, init="relu")
        if rank is not None:
            self.edge_bias_linear = Linear(bias_dim, 4 * rank * bias_dim)
        self.trunk = nn.Sequential(
            Linear(hidden, hidden, init="relu"),
            nn.ReLU(),
            Linear(hidden, hidden, init="relu"),
            nn.ReLU(),
        )
        self.final_layer = Linear(hidden, c_z, init="final")
        self.layer_norm = nn.LayerNorm(c_z)

    def forward(self, node_embed: Float[Tensor, "b n c_s"], pair: TrunkPair) -> TrunkPair:
        """Return the new pairs, unmasked."""
        nodes = self.initial_embed(node_embed)
        if isinstance(pair, DensePair):
            n = nodes.shape[1]
            rows = nodes[:, :, None].expand(-1, -1, n, -1)
            columns = nodes[:, None].expand(-1, n, -1, -1)
            return DensePair(self._update(torch.cat([pair.values, rows, columns], dim=-1)))
        left, right = self.edge_bias_linear(nodes).unflatten(-1, (2, self.rank, -1)).unbind(2)
        sides = (torch.cat(side, dim=-1) for side in ((pair.left, left), (pair.right, right)))
        # FlashIPA scales what enters for factors, and not for dense pairs
        return FactorizedPair(*(self._update(side / math.sqrt(2)) for side in sides))

    def _update(self, z: Tensor) -> Tensor:
        out: Tensor = self.layer_norm(self.final_layer(self.trunk(z) + z))
        return out


class FrameUpdate(nn.Module):
    """Three quaternion and three translation components per residue."""

    def __init__(self, c_s: int) -> None:
        super().__init__()
        self.linear = Linear(c_s, 6, init="final")

    def forward(
        self, s: Float[Tensor, "b n c_s"], frames: Rigid, mask: Bool[Tensor, "b n"]
    ) -> Rigid:
        """Move real residues in their own axes; padded ones stay (Jumper et al., algorithm 23)."""
        vector, trans = (self.linear(s) * mask[..., None]).split(3, dim=-1)
        quaternion = torch.cat([torch.ones_like(vector[..., :1]), vector], dim=-1)
        quaternion = quaternion / quaternion.norm(dim=-1, keepdim=True)
        return frames.compose(Rigid(quaternion_to_matrix(quaternion), trans))


@dataclass(frozen=True)
class TrunkSizes:
    """Widths of a FlashIPA stack; the defaults are those of its example model.

    `z_rank` is the rank of the factors, None for dense pairs; `c_z` is 0 for no pairs; `c_ligand`
    is the width of the features of ligand atoms, 0 for a stack that takes none.
    """

    c_s: int
    c_z: int
    depth: int
    z_rank: int | None
    c_hidden: int = 128
    num_heads: int = 8
    num_qk_points: int = 8
    num_v_points: int = 12
    sequence_heads: int = 4
    sequence_layers: int = 2
    c_ligand: int = 0


class FlashIpaTrunk(nn.Module):
    """Point attention, sequence transformer, transitions and frame updates, `depth` times.

    Parameters have FlashIPA's names. The edge transition of the last layer does not exist, and
    without pairs none does. Frames come and go in Å; inside lengths are in nm.
    """

    def __init__(self, sizes: TrunkSizes) -> None:
        super().__init__()
        self.depth = sizes.depth
        self.takes_ligands = sizes.c_ligand > 0
        c_s = sizes.c_s
        for i in range(sizes.depth):
            self.add_module(f"ipa_{i}", _point_attention(sizes))
            self.add_module(f"ipa_ln_{i}", nn.LayerNorm(c_s))
            self.add_module(f"seq_tfmr_{i}", _sequence_transformer(sizes))
            self.add_module(f"post_tfmr_{i}", Linear(c_s, c_s, init="final"))
            self.add_module(f"node_transition_{i}", NodeTransition(c_s))
            self.add_module(f"bb_update_{i}", FrameUpdate(c_s))
            if sizes.c_ligand:
                self.add_module(f"ligand_{i}", _ligand_keys(sizes))
            if i < sizes.depth - 1 and sizes.c_z:
                edges = EdgeTransition(c_s, sizes.c_z, rank=sizes.z_rank)
                self.add_module(f"edge_transition_{i}", edges)

    def forward(
        self,
        s: Float[Tensor, "b n c_s"],
        frames: Rigid,
        pair: TrunkPair | None,
        mask: Bool[Tensor, "b n"],
        ligand: LigandAtoms | None = None,
    ) -> tuple[Float[Tensor, "b n c_s"], Rigid]:
        """Return new features, zero on padding, and moved frames.

        Raises:
            ValueError: ligand atoms were given to a stack built with `c_ligand=0`.
        """
        if ligand is not None and not self.takes_ligands:
            raise ValueError("this stack was built without ligand atoms: give c_ligand their width")
        real = mask[..., None]
        s = s * real
        frames = Rigid(frames.rots, frames.trans * _NM_PER_ANGSTROM)
        for i in range(self.depth):
            part = {name.removesuffix(f"_{i}"): child for name, child in self.named_children()}
            extra = None if ligand is None else part["ligand"](_in_nm(ligand))
            s = part["ipa_ln"](s + part["ipa"](s, pair, frames, mask, extra=extra) * real)
            s = s + part["post_tfmr"](part["seq_tfmr"](s, src_key_padding_mask=~mask))
            s = part["node_transition"](s) * real
            frames = part["bb_update"](s, frames, mask)
            if pair is not None and i < self.depth - 1:
                pair = _masked(part["edge_transition"](s, pair), mask)
        return s, Rigid(frames.rots, frames.trans / _NM_PER_ANGSTROM)


class EdgeOutputs:
    """Factors of the pair representation, and the edge mask for those who ask.

    Items are read as `outputs["z_f1"]`, `outputs["z_f2"]`, `outputs["edge_mask"]`; the mask of all
    pairs is made at the moment it is read, and only then.
    """

    def __init__(self, pair: FactorizedPair, node_mask: Bool[Tensor, "b n"]) -> None:
        self.pair = pair
        self._node_mask = node_mask

    def __getitem__(self, name: str) -> Tensor:
        if name == "z_f1":
            return self.pair.left
        if name == "z_f2":
            return self.pair.right
        if name == "edge_mask":
            return self._node_mask[:, :, None] & self._node_mask[:, None]
        raise KeyError(f"no output {name!r}: there are z_f1, z_f2 and edge_mask")


class EdgeEmbedder(nn.Module):
    """Calls a `NeighbourEdgeEmbedder` and names what it returns."""

    def __init__(self, embedder: NeighbourEdgeEmbedder) -> None:
        super().__init__()
        self.embedder = embedder

    def forward(
        self,
        node_embed: Float[Tensor, "b n c_s"],
        translations: Float[Tensor, "b n 3"],
        node_mask: Bool[Tensor, "b n"],
        trans_sc: Float[Tensor, "b n 3"] | None = None,
    ) -> EdgeOutputs:
        """Embed C-alpha positions, and optionally side-chain ones, in Å."""
        pair = self.embedder(node_embed, translations, node_mask, trans_sc)
        return EdgeOutputs(pair, node_mask)


class FlashIpa(nn.Module):
    """Calls a `FlashIpaTrunk` with two factors."""

    def __init__(self, trunk: FlashIpaTrunk) -> None:
        super().__init__()
        self.trunk = trunk

    def forward(
        self,
        s: Float[Tensor, "b n c_s"],
        rigids: Rigid,
        z_f1: Float[Tensor, "b n r c_z"],
        z_f2: Float[Tensor, "b n r c_z"],
        mask: Bool[Tensor, "b n"],
        ligand: LigandAtoms | None = None,
    ) -> tuple[Float[Tensor, "b n c_s"], Rigid]:
        """Return the updated features and rigids; rigids and ligand atoms are in Å."""
        out: tuple[Tensor, Rigid] = self.trunk(s, rigids, FactorizedPair(z_f1, z_f2), mask, ligand)
        return out


def create_edge_embedder(
    c_s: int,
    c_p: int,
    z_rank: int = 16,
    num_rbf: int | None = 16,
    *,
    feat_dim: int = 64,
    num_neighbours: int = 10,
) -> EdgeEmbedder:
    """Build an embedder of residues into pair factors of any rank, linear in memory.

    It is called with `(node_embed, translations, node_mask)` and optionally side-chain positions.
    `num_rbf=None` takes FlashIPA's distance bins instead of Gaussians.
    """
    embedder = NeighbourEdgeEmbedder(
        c_s,
        c_p,
        z_rank=z_rank,
        feat_dim=feat_dim,
        num_neighbours=num_neighbours,
        num_rbf=num_rbf,
    )
    return EdgeEmbedder(embedder)


def create_flash_ipa(
    c_s: int,
    c_z: int,
    depth: int,
    *,
    z_rank: int = 16,
    num_heads: int = 8,
    c_hidden: int = 128,
    c_ligand: int = 0,
) -> FlashIpa:
    """Build a stack of FlashIPA layers for factors of rank `z_rank`, on any device.

    It is called with `(s, rigids, z_f1, z_f2, mask)`, and where `c_ligand` is the width of the
    features of ligand atoms, optionally with `LigandAtoms`.
    """
    return FlashIpa(
        FlashIpaTrunk(
            TrunkSizes(
                c_s=c_s,
                c_z=c_z,
                depth=depth,
                z_rank=z_rank,
                num_heads=num_heads,
                c_hidden=c_hidden,
                c_ligand=c_ligand,
            )
        )
    )


def _point_attention(sizes: TrunkSizes) -> PairPointAttention:
    return PairPointAttention(
        sizes.c_s,
        sizes.c_z,
        c_hidden=sizes.c_hidden,
        num_heads=sizes.num_heads,
        num_qk_points=sizes.num_qk_points,
        num_v_points=sizes.num_v_points,
        bias_scaling="original",
    )


def _ligand_keys(sizes: TrunkSizes) -> LigandKeys:
    return LigandKeys(sizes.c_ligand, c_hidden=sizes.c_hidden, num_heads=sizes.num_heads)


def _in_nm(ligand: LigandAtoms) -> LigandAtoms:
    return replace(ligand, positions=ligand.positions * _NM_PER_ANGSTROM)


def _sequence_transformer(sizes: TrunkSizes) -> nn.TransformerEncoder:
    layer = nn.TransformerEncoderLayer(
        sizes.c_s,
        sizes.sequence_heads,
        dim_feedforward=sizes.c_s,
        dropout=0.0,
        batch_first=True,
    )
    return nn.TransformerEncoder(layer, sizes.sequence_layers, enable_nested_tensor=False)


def _masked(pair: TrunkPair, mask: Tensor) -> TrunkPair:
    if isinstance(pair, DensePair):
        return DensePair(pair.values * (mask[:, :, None] & mask[:, None])[..., None])
    real = mask[:, :, None, None]
    return FactorizedPair(pair.left * real, pair.right * real)
