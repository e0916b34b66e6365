"""Windows of atoms without the empty ones."""

import torch
from jaxtyping import Bool
from torch import Tensor

from foldwright.models.fold.inputs import AtomLayout, Gather


def without_empty_windows(layout: AtomLayout, real: Bool[Tensor, "n a"]) -> AtomLayout:
    """Leave out the windows behind the last atom, about two thirds of them for proteins.

    The layout has room for 24 atoms in every token. Empty windows reach nothing, except in inputs
    of fewer than 128 atoms, where they serve others as keys: such a layout is returned as it is.
    """
    width = layout.token_atoms_to_queries.index.shape[1]
    held = layout.token_atoms_to_queries
    real_query = real.flatten()[held.index] & held.mask
    used = torch.nonzero(real_query.any(1))
    count = int(used.max()) + 1 if len(used) else 0
    slots = count * width
    keys, back = layout.queries_to_keys, layout.queries_to_token_atoms
    seen = keys.index[:count][keys.mask[:count]]
    wanted = back.index[real & back.mask]
    if count == 0 or bool((seen >= slots).any()) or bool((wanted >= slots).any()):
        return layout

    def cut(gather: Gather) -> Gather:
        return Gather(gather.index[:count].clone(), gather.mask[:count].clone())

    inside = back.mask & (back.index < slots)
    return AtomLayout(
        token_atoms_to_queries=cut(held),
        tokens_to_queries=cut(layout.tokens_to_queries),
        tokens_to_keys=cut(layout.tokens_to_keys),
        queries_to_keys=cut(keys),
        key_spaces=cut(layout.key_spaces),
        queries_to_token_atoms=Gather(back.index.where(inside, 0), inside),
    )
