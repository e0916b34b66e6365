"""Names of transformers whose blocks share norms and matrices in ours and not in checkpoints."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from foldwright.models.fold.network.atom_transformer import AtomTransformer
from foldwright.models.fold.network.diffusion_transformer import DiffusionTransformer, SuperBlock
from foldwright.models.fold.weights.assembly import Assembly, same, stacked
from foldwright.models.fold.weights.naming import Found, Naming, Special, joined

PairNames = Callable[[str, Sequence[str]], tuple[Assembly, Assembly]]
"""Norm of the pairs and matrix to the logits, from the paths of transformer and some blocks."""


def shared_norm(norm: str, logits: str) -> PairNames:
    """One norm for the whole transformer, and a matrix in every block."""

    def names(path: str, blocks: Sequence[str]) -> tuple[Assembly, Assembly]:
        return same(joined(path, norm)), stacked(*(joined(block, logits) for block in blocks))

    return names


def norm_per_block(norm: str, logits: str) -> PairNames:
    """A norm and a matrix in every block: the scales of the norms go into the matrices.

    These norms have no offset; one would add a constant to a head's logits and reach nothing.
    """

    def make(*tensors: Tensor) -> Tensor:
        pairs = zip(tensors[::2], tensors[1::2], strict=True)
        return torch.cat([matrix * scale for matrix, scale in pairs])

    def names(path: str, blocks: Sequence[str]) -> tuple[Assembly, Assembly]:
        del path
        used = tuple(joined(block, part) for block in blocks for part in (logits, norm))
        return Assembly((joined(blocks[0], norm),), torch.ones_like), Assembly(used, make)

    return names


def token_transformer(pair_names: PairNames) -> Special:
    """Name the denoiser's token transformer, whose groups of blocks share a matrix in ours."""

    def found(module: nn.Module, name: str, path: str, naming: Naming) -> Found:
        assert isinstance(module, DiffusionTransformer)
        first = 0
        for index, group in enumerate(module.super_blocks):
            assert isinstance(group, SuperBlock)
            at = [joined(path, f"blocks.{first + place}") for place in range(len(group.blocks))]
            ours = joined(name, f"super_blocks.{index}")
            norm, logits = pair_names(path, at)
            if not index:
                yield joined(name, "pair_norm.weight"), norm
            yield f"{ours}.pair_logits.weight", logits
            for place, block in enumerate(group.blocks):
                yield from naming.assemblies(block, f"{ours}.blocks.{place}", at[place])
            first += len(at)

    return found


def atom_transformer(pair_names: PairNames) -> Special:
    """Name a transformer of atoms, whose blocks all share one matrix in ours."""

    def found(module: nn.Module, name: str, path: str, naming: Naming) -> Found:
        assert isinstance(module, AtomTransformer)
        at = [joined(path, f"blocks.{index}") for index in range(len(module.blocks))]
        norm, logits = pair_names(path, at)
        yield joined(name, "pair_norm.weight"), norm
        yield joined(name, "pair_logits.weight"), logits
        yield from naming.children(module, name, path, {"blocks": "blocks.{index}"})

    return found
