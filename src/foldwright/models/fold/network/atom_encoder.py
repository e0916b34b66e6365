"""Atoms into tokens and back (Abramson et al. 2024, algorithms 5 and 6)."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import one_hot

from foldwright.models.fold.inputs import AtomLayout, ReferenceAtoms
from foldwright.models.fold.network.atom_transformer import (
    AtomContext,
    AtomTransformer,
    PreparedBlock,
)
from foldwright.models.fold.network.workspace import row_blocks
from foldwright.nn.linear import Linear


class AtomReference(nn.Module):
    """Features of the reference conformers, per atom and per pair of atoms in a window."""

    def __init__(
        self, channels: int, pair_channels: int, *, hides_unplaced_atoms: bool = True
    ) -> None:
        super().__init__()
        self.hides_unplaced_atoms = hides_unplaced_atoms
        self.positions = Linear(3, channels, bias=False)
        self.mask = Linear(1, channels, bias=False)
        self.element = Linear(128, channels, bias=False)
        self.charge = Linear(1, channels, bias=False)
        self.name = Linear(4 * 64, channels, bias=False)
        self.pair_queries = Linear(channels, pair_channels, bias=False)
        self.pair_keys = Linear(channels, pair_channels, bias=False)
        self.offsets = Linear(3, pair_channels, bias=False)
        self.distances = Linear(1, pair_channels, bias=False)
        self.same_space = Linear(1, pair_channels, bias=False)
        self.pair_mlp = nn.ModuleList(
            Linear(pair_channels, pair_channels, bias=False) for _ in range(3)
        )

    def atoms(self, atoms: ReferenceAtoms) -> Float[Tensor, "n 24 c"]:
        """Embed every atom by position, presence, element, charge and name."""
        dtype = self.positions.weight.dtype
        mask = atoms.mask.to(dtype)[..., None]
        names = one_hot(atoms.name_characters.long(), 64).flatten(-2).to(dtype)
        embedded = (
            self.positions(atoms.positions.to(dtype))
            + self.mask(mask)
            + self.element(one_hot(atoms.element.long(), 128).to(dtype))
            + self.charge(torch.asinh(atoms.charge.to(dtype))[..., None])
            + self.name(names)
        )
        return embedded * mask if self.hides_unplaced_atoms else embedded

    def pairs(
        self,
        atoms: ReferenceAtoms,
        layout: AtomLayout,
        queries: Float[Tensor, "w q c"],
        keys: Float[Tensor, "w k c"],
        trunk: Float[Tensor, "w q k p"] | None,
    ) -> Float[Tensor, "w q k p"]:
        """Embed every pair of a window; offsets count within one reference space only."""
        position = layout.token_atoms_to_queries.take(atoms.positions, dims=2).to(queries.dtype)
        space = layout.token_atoms_to_queries.take(atoms.space_uid, dims=2)
        key_position = layout.queries_to_keys.take(position, dims=2)
        key_space = layout.key_spaces.take(atoms.space_uid, dims=2)
        offset = position[:, :, None] - key_position[:, None]
        same = (space[:, :, None] == key_space[:, None]).to(offset.dtype)[..., None]
        inverse = 1 / (1 + offset.square().sum(-1, keepdim=True))
        pair = self.pair_queries(queries.relu())[:, :, None] + self.pair_keys(keys.relu())[:, None]
        if trunk is not None:
            pair = pair + trunk
        pair = pair + self.offsets(offset) * same + self.distances(inverse) * same
        pair = pair + self.same_space(same)
        hidden = pair
        for linear in self.pair_mlp:
            hidden = linear(hidden.relu())
        return pair + hidden


class AtomEncoder(nn.Module):
    """Atoms of the reference conformers into tokens, before the trunk."""

    def __init__(
        self,
        reference: AtomReference,
        transformer: AtomTransformer,
        *,
        channels: int,
        token_channels: int,
    ) -> None:
        super().__init__()
        self.reference = reference
        self.transformer = transformer
        self.aggregate = Linear(channels, token_channels, bias=False)

    def context(self, atoms: ReferenceAtoms, layout: AtomLayout) -> AtomContext:
        """Conditioning of the atoms by their reference conformers."""
        embedded = self.reference.atoms(atoms)
        queries = layout.token_atoms_to_queries.take(embedded, dims=2)
        return atom_context(self.reference, atoms, layout, queries, None)

    def forward(
        self,
        x: Float[Tensor, "w q c"],
        context: AtomContext,
        prepared: tuple[PreparedBlock, ...],
    ) -> tuple[Float[Tensor, "n d"], Float[Tensor, "w q c"]]:
        """Return one vector per token and the atoms, which the decoder takes up again."""
        layout = context.layout
        x = self.transformer(x, layout, prepared) * context.query_mask[..., None]
        atoms = layout.queries_to_token_atoms.take(self.aggregate(x).relu(), dims=2)
        real = layout.queries_to_token_atoms.take(context.query_mask, dims=2).to(x.dtype)
        total = (atoms * real[..., None]).sum(1)
        return total / real.sum(1).clamp(min=1e-10)[:, None], x


class TrunkToAtoms(nn.Module):
    """Single and pair representation of the trunk as conditioning of the atoms."""

    def __init__(
        self, channels: int, pair_channels: int, trunk_single: int, trunk_pair: int
    ) -> None:
        super().__init__()
        self.single_norm = nn.LayerNorm(trunk_single, bias=False)
        self.single = Linear(trunk_single, channels, bias=False)
        self.pair_norm = nn.LayerNorm(trunk_pair, bias=False)
        self.pair = Linear(trunk_pair, pair_channels, bias=False)
        self.positions = Linear(3, channels, bias=False)

    def forward(
        self,
        atoms: ReferenceAtoms,
        layout: AtomLayout,
        reference: AtomReference,
        single: Float[Tensor, "n s"],
        pair: Float[Tensor, "n n z"],
    ) -> AtomContext:
        """Conditioning of the atoms by their reference conformers and the trunk."""
        projected = self.single(self.single_norm(single))
        queries = layout.token_atoms_to_queries.take(reference.atoms(atoms), dims=2)
        queries = queries + layout.tokens_to_queries.take(projected, dims=1)
        narrow = pair.new_empty(*pair.shape[:2], self.pair.out_features)
        for rows in row_blocks(pair):
            narrow[rows] = self.pair(self.pair_norm(pair[rows]))
        to_query, to_key = layout.tokens_to_queries, layout.tokens_to_keys
        gathered = narrow[to_query.index[:, :, None], to_key.index[:, None, :]]
        both = to_query.mask[:, :, None] & to_key.mask[:, None, :]
        return atom_context(reference, atoms, layout, queries, gathered * both[..., None])


class AtomDecoder(nn.Module):
    """Tokens back to atoms, and a step for every atom."""

    def __init__(self, transformer: AtomTransformer, *, channels: int, token_channels: int) -> None:
        super().__init__()
        self.broadcast = Linear(token_channels, channels, bias=False)
        self.transformer = transformer
        self.layer_norm = nn.LayerNorm(channels, bias=False)
        self.out = Linear(channels, 3, bias=False, init="final")

    def forward(
        self,
        tokens: Float[Tensor, "n d"],
        skip: Float[Tensor, "w q c"],
        context: AtomContext,
        prepared: tuple[PreparedBlock, ...],
    ) -> Float[Tensor, "n 24 3"]:
        """Return the position update of every atom, scaled by the denoiser afterwards."""
        real = context.query_mask[..., None]
        projected = self.broadcast(tokens)[:, None].expand(-1, 24, -1)
        x = context.layout.token_atoms_to_queries.take(projected, dims=2)
        x = self.transformer((x + skip) * real, context.layout, prepared) * real
        update = self.out(self.layer_norm(x))
        return context.layout.queries_to_token_atoms.take(update, dims=2)


def atom_context(
    reference: AtomReference,
    atoms: ReferenceAtoms,
    layout: AtomLayout,
    queries: Float[Tensor, "w q c"],
    trunk_pair: Float[Tensor, "w q k p"] | None,
) -> AtomContext:
    """Collect the conditioning of queries, keys and pairs."""
    keys = layout.queries_to_keys.take(queries, dims=2)
    query_mask = layout.token_atoms_to_queries.take(atoms.real, dims=2)
    key_mask = layout.queries_to_keys.take(query_mask, dims=2)
    pair = reference.pairs(atoms, layout, queries, keys, trunk_pair)
    return AtomContext(layout, queries, pair, query_mask, key_mask)
