"""Peptides for tests: drawn from letters, with known properties."""

import torch

from foldwright.runtime.seeds import make_generator

MAGAININ = "GIGKFLHSAKKFGKAFVGEIMNS"


def draw(count: int, letters: str, *, name: str, low: int = 8, high: int = 20) -> list[str]:
    """Peptides of random length and letters."""
    generator = make_generator(0, name)
    lengths = torch.randint(low, high + 1, (count,), generator=generator).tolist()
    return [
        "".join(letters[i] for i in torch.randint(len(letters), (n,), generator=generator))
        for n in lengths
    ]


def draw_alternating(count: int, *, name: str) -> list[str]:
    """Peptides in which K and L take turns, with a few exchanges for other letters."""
    generator = make_generator(1, name)
    peptides = []
    for one in draw(count, "AGSTNQ", name=name):
        exchange = torch.rand(len(one), generator=generator) < 0.1
        peptides.append("".join(one[i] if exchange[i] else "KL"[i % 2] for i in range(len(one))))
    return peptides
