"""What checkpoints of open families share: the order of their features, lists of modules."""

from collections.abc import Mapping

import torch

CLASS_PLACES = (*range(21), 31, *range(21, 25), *range(26, 30), 25, 30)
"""Place of each of our residue classes (AlphaFold 3's and the unknown base of DNA) in theirs:
21 amino acids, five bases of RNA, five of DNA, the gap."""


def feature_orders(input_channels: int, single_channels: int) -> dict[str, tuple[int, ...]]:
    """Place in a checkpoint of every column of the features that we order otherwise.

    Theirs are own atoms, class, profile and deletions of a token; ours begin with the class.
    """
    kinds = len(CLASS_PLACES)
    target = (
        *(input_channels + place for place in CLASS_PLACES),
        *(input_channels + kinds + place for place in CLASS_PLACES),
        input_channels + 2 * kinds,
        *range(input_channels),
    )
    return {
        "classes": CLASS_PLACES,
        "letters": (*CLASS_PLACES, kinds, kinds + 1),
        "target": target,
        "single and target": (
            *range(single_channels),
            *(single_channels + place for place in target),
        ),
    }


def count_members(shapes: Mapping[str, torch.Size], path: str) -> int:
    """Number of members of a list of modules."""
    start = f"{path}."
    places = {int(name[len(start) :].split(".")[0]) for name in shapes if name.startswith(start)}
    return max(places, default=-1) + 1
