"""Foldwright: generate, train and check proteins on the hardware people have.

The verbs of the command line, imported when first used:

- `read_structure`, `write_structure`: structure files and their records
- `prepare_store`: a folder of structure files to a store to train on
- `fit`: train a task
- `load_bundled`, `load_weights`, `load_genie`: a trained model, ours or a Genie checkpoint
- `design`: new backbones as files
- `load_peptide_weights`, `generate_peptides`: new peptides as files
- `create_edge_embedder`, `create_flash_ipa`: point attention in linear memory, as a layer
- `evaluate_folder`, `score_structure`: scores of finished structures
- `backbone_from_ca`, `frames_from_backbone`, `superpose`, `tm_score`, `lddt`: coordinates
"""

import importlib
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "backbone_from_ca": "foldwright.geometry.reconstruction:backbone_from_ca",
    "create_edge_embedder": "foldwright.nn.flash_ipa:create_edge_embedder",
    "create_flash_ipa": "foldwright.nn.flash_ipa:create_flash_ipa",
    "design": "foldwright.models.backbone.sample:design",
    "evaluate_folder": "foldwright.evaluation.folder:evaluate_folder",
    "frames_from_backbone": "foldwright.geometry.backbone_frames:frames_from_backbone",
    "fit": "foldwright.training.loop:fit",
    "generate_peptides": "foldwright.models.peptide.sample:generate_peptides",
    "lddt": "foldwright.geometry.scores:lddt",
    "load_bundled": "foldwright.models.backbone.weights:load_bundled",
    "load_genie": "foldwright.models.backbone.genie_checkpoint:load_genie",
    "load_peptide_weights": "foldwright.models.peptide.weights:load_peptide_weights",
    "load_weights": "foldwright.models.backbone.weights:load_weights",
    "prepare_store": "foldwright.data.prepare:prepare_store",
    "read_structure": "foldwright.structure.io:read_structure",
    "score_structure": "foldwright.evaluation.scores:score_structure",
    "superpose": "foldwright.geometry.superposition:superpose",
    "tm_score": "foldwright.geometry.scores:tm_score",
    "write_structure": "foldwright.structure.io:write_structure",
}

__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> Any:
    """Import a verb when it is first used, so that `import foldwright` stays fast."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, attribute = _HOMES[name].partition(":")
    return getattr(importlib.import_module(module), attribute)


def __dir__() -> list[str]:
    return sorted(__all__)
