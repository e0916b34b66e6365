"""Leaving out empty windows of atoms changes nothing that is read."""

from dataclasses import replace

import torch

from benchmarks.fold_network import chain_inputs, random_network
from foldwright.models.fold.inputs import AtomLayout, Gather
from foldwright.models.fold.windows import without_empty_windows
from tests.models.fold.test_determinism import SIZES

WIDE = 24 * 20 // 32
"""Windows of 20 tokens with room for 24 atoms each; 8 atoms fill 5 of them."""


def _padded(layout: AtomLayout) -> AtomLayout:
    """Put the windows back that `inputs_from_arrays` leaves out, as the original has them."""
    count, width = layout.token_atoms_to_queries.index.shape
    slots = count * width

    def longer(gather: Gather, index: int) -> Gather:
        more = WIDE - len(gather.index)
        shape = (more, gather.index.shape[1])
        return Gather(
            torch.cat([gather.index, torch.full(shape, index)]),
            torch.cat([gather.mask, torch.zeros(shape, dtype=torch.bool)]),
        )

    last = torch.arange(slots - 128, slots).expand(WIDE - count, -1)
    keys = layout.queries_to_keys
    every_key = torch.ones_like(last, dtype=torch.bool)
    padded_keys = Gather(torch.cat([keys.index, last]), torch.cat([keys.mask, every_key]))
    return replace(
        layout,
        token_atoms_to_queries=longer(layout.token_atoms_to_queries, 0),
        tokens_to_queries=longer(layout.tokens_to_queries, 0),
        tokens_to_keys=longer(layout.tokens_to_keys, 0),
        queries_to_keys=padded_keys,
        key_spaces=padded_keys,
    )


def test_token_features_are_the_same_without_empty_windows() -> None:
    inputs, network = chain_inputs(20), random_network(SIZES)
    assert len(inputs.layout.queries_to_keys.index) == 5
    padded = replace(inputs, layout=_padded(inputs.layout))
    assert len(padded.layout.queries_to_keys.index) == WIDE
    expected = network.target_features(padded)
    torch.testing.assert_close(network.target_features(inputs), expected, rtol=1e-5, atol=1e-6)
    again = without_empty_windows(padded.layout, inputs.reference.real)
    assert torch.equal(again.queries_to_keys.index, inputs.layout.queries_to_keys.index)


def test_a_layout_whose_keys_lie_in_empty_windows_is_left_alone() -> None:
    inputs = chain_inputs(9)  # 72 atoms: keys run behind the last one
    layout = inputs.layout
    assert len(layout.queries_to_keys.index) < 7
    keys = layout.queries_to_keys
    mask = torch.ones_like(keys.mask)
    count = len(keys.index)
    wide = replace(
        layout,
        token_atoms_to_queries=_repeat(layout.token_atoms_to_queries),
        queries_to_keys=Gather(
            torch.cat([keys.index.clamp(max=0) + 40 * count, keys.index]), torch.cat([mask, mask])
        ),
    )
    assert without_empty_windows(wide, inputs.reference.real) is wide


def _repeat(gather: Gather) -> Gather:
    empty = torch.zeros_like(gather.mask)
    return Gather(torch.cat([gather.index, gather.index]), torch.cat([gather.mask, empty]))
