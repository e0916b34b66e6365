"""Parts of chains as chains of their own."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int

from foldwright.runtime.errors import InputError
from foldwright.structure.records import Chain

_PER_RESIDUE = ("residue_names", "residue_numbers", "insertion_codes")
_PER_ATOM = ("atom_names", "elements", "coords", "occupancy", "b_factor")


def take_residues(chain: Chain, residues: Int[np.ndarray, " m"]) -> Chain:
    """Return the residues at these positions, in this order, with all that belongs to them.

    Numbers and insertion codes stay as they are.

    Raises:
        InputError: no residue is chosen.
    """
    place = np.full(len(chain), -1)
    place[residues] = np.arange(len(residues))
    atom_place = place[chain.atom_residue_index]
    chosen = np.flatnonzero(atom_place >= 0)
    chosen = chosen[np.argsort(atom_place[chosen], kind="stable")]
    return Chain(
        chain_id=chain.chain_id,
        kind=chain.kind,
        sequence="".join(chain.sequence[residue] for residue in residues.tolist()),
        atom_residue_index=atom_place[chosen],
        **{name: getattr(chain, name)[residues] for name in _PER_RESIDUE},
        **{name: getattr(chain, name)[chosen] for name in _PER_ATOM},
    )


def join_chains(chains: Sequence[Chain]) -> Chain:
    """Return one chain of the residues of several of one kind, under the name of the first.

    Raises:
        InputError: no chain is given, or chains are of different kinds.
    """
    kinds = {chain.kind for chain in chains}
    if len(kinds) != 1:
        raise InputError(f"chains to join must be of one kind, found {', '.join(sorted(kinds))}")
    starts = np.cumsum([0, *(len(chain) for chain in chains)])
    index = [chain.atom_residue_index + start for chain, start in zip(chains, starts, strict=False)]
    return Chain(
        chain_id=chains[0].chain_id,
        kind=chains[0].kind,
        sequence="".join(chain.sequence for chain in chains),
        atom_residue_index=np.concatenate(index),
        **{
            name: np.concatenate([getattr(chain, name) for chain in chains])
            for name in _PER_RESIDUE + _PER_ATOM
        },
    )
