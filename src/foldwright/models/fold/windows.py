"""Windows of atoms: laid out anew, or given and without the empty ones."""

import torch
from jaxtyping import Bool
from torch import Tensor

from foldwright.models.fold.inputs import AtomLayout, Gather
from foldwright.runtime.errors import InputError

_QUERIES, _KEYS = 32, 128


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


def atom_layout(real: Bool[Tensor, "n 24"], *, shifted: bool = True) -> AtomLayout:
    """Lay out the real atoms in windows, each with the 128 atoms nearest in order as keys.

    Keys are `shifted` at both ends, so that a window has fewer than 128 only if the input has; or
    else they lie around the queries, and keys before the first and after the last atom are empty
    (Abramson et al. 2024, algorithm 7). Every key finds its own reference space.

    Raises:
        InputError: there is no atom.
    """
    slots = real.flatten().nonzero().squeeze(1)
    count, slots_per_token = len(slots), real.shape[1]
    if not count:
        raise InputError("the input has no atoms to predict; expected at least one")
    first = torch.arange(0, count, _QUERIES, device=real.device)
    queries = first[:, None] + torch.arange(_QUERIES, device=real.device)
    start = first + (_QUERIES - _KEYS) // 2
    if shifted:
        start = start.clamp(0, max(count - _KEYS, 0))
    keys = start[:, None] + torch.arange(_KEYS, device=real.device)
    is_query, is_key = queries < count, (keys >= 0) & (keys < count)
    queries, keys = slots[queries.clamp(max=count - 1)], keys.clamp(0, count - 1)
    places = torch.zeros(real.numel(), dtype=torch.long, device=real.device)
    places[slots] = torch.arange(count, device=real.device)
    return AtomLayout(
        token_atoms_to_queries=Gather(queries, is_query),
        tokens_to_queries=Gather(queries // slots_per_token, is_query),
        tokens_to_keys=Gather(slots[keys] // slots_per_token, is_key),
        queries_to_keys=Gather(keys, is_key),
        key_spaces=Gather(slots[keys], is_key),
        queries_to_token_atoms=Gather(places.view(real.shape), real),
    )
