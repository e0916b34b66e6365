"""Python on the pages: it compiles, what it imports exists, and the blocks of `RUN` run."""

import ast
import importlib

import pytest
import torch

from foldwright.geometry.rigid import Rigid
from tests.data.sample_chains import helix_ca
from tests.docs.pages import Block, blocks

PYTHON = [block for block in blocks() if block.language == "python"]


def _embedder_inputs() -> dict[str, object]:
    generator = torch.Generator().manual_seed(0)
    nodes = torch.randn(1, 12, 384, generator=generator)
    places = 3.8 * torch.randn(1, 12, 3, generator=generator).cumsum(1)
    frames = Rigid(torch.eye(3).expand(1, 12, 3, 3), places)
    mask = torch.ones(1, 12, dtype=torch.bool)
    return {
        "node_embed": nodes,
        "s": nodes,
        "translations": places,
        "node_mask": mask,
        "rigids": frames,
    }


RUN = {
    "README.md": dict,
    "docs/attention.md": _embedder_inputs,
    "docs/data.md": dict,
    "docs/evaluation.md": dict,
    "docs/reconstruction.md": lambda: {"ca": torch.from_numpy(helix_ca(20)).float()},
    "docs/sampling.md": dict,
    "docs/structures.md": dict,
}
"""Pages whose first Python block is carried out, and the names that it finds there."""

_SMALL = {"80-120": "24-30", "num=4": "num=1", "steps=100": "steps=1"}


@pytest.mark.parametrize("block", PYTHON, ids=str)
def test_what_a_block_imports_exists(block: Block) -> None:
    for node in ast.walk(ast.parse(block.text, str(block))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                importlib.import_module(alias.name)
        if isinstance(node, ast.ImportFrom):
            module = importlib.import_module(node.module or "")
            missing = [alias.name for alias in node.names if not hasattr(module, alias.name)]
            assert missing == [], f"{block}: {node.module} has no {missing}"
    for name in _attributes_of_the_package(block):
        assert hasattr(importlib.import_module("foldwright"), name), f"{block}: fw.{name}"


def _attributes_of_the_package(block: Block) -> set[str]:
    """Names used as `fw.name`."""
    nodes = (node for node in ast.walk(ast.parse(block.text)) if isinstance(node, ast.Attribute))
    return {
        node.attr for node in nodes if isinstance(node.value, ast.Name) and node.value.id == "fw"
    }


@pytest.mark.usefixtures("workplace")
@pytest.mark.parametrize("page", RUN)
def test_the_first_block_of_the_page_runs(page: str) -> None:
    block = next(block for block in PYTHON if block.page == page)
    text = block.text
    for long, short in _SMALL.items():
        text = text.replace(long, short)
    exec(compile(text, str(block), "exec"), RUN[page]())
