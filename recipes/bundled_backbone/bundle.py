"""Put the weights of a run into the package, with their provenance, scores and log.

    python recipes/bundled_backbone/bundle.py RUN SUMMARY.json [SUMMARY.json ...]

RUN is a folder of `foldwright train backbone` that has finished; each SUMMARY the summary.json of
`foldwright evaluate` over designs made with `last.safetensors` of that run.
"""

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

import yaml

from foldwright.data.store import ChainStore
from foldwright.models.backbone.weights import BUNDLED, BackboneCard, load_weights, save_weights
from foldwright.runtime.files import write_atomic
from foldwright.runtime.weight_files import read_card

PACKAGE = Path(__file__).parents[2] / "src/foldwright/models/backbone/bundled"


def main() -> None:
    """Read the run named on the command line and write the files of the package."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("summaries", type=Path, nargs="+")
    arguments = parser.parse_args()
    weights = arguments.run / "last.safetensors"
    settings = yaml.safe_load((arguments.run / "config.yaml").read_text())
    names = _training_chains(settings)
    starts = (arguments.run / "starts.jsonl").read_text().splitlines()
    provenance: dict[str, Any] = {
        **read_card(BackboneCard, weights).provenance,
        "licence": "Apache-2.0",
        "training_chains": f"{BUNDLED}.chains.txt ({len(names)} Protein Data Bank chains)",
        "starts": [_start(json.loads(line)) for line in starts],
        "scores": [_scores(json.loads(path.read_text())) for path in arguments.summaries],
    }
    save_weights(load_weights(weights), PACKAGE / f"{BUNDLED}.safetensors", provenance=provenance)
    write_atomic(PACKAGE / f"{BUNDLED}.chains.txt", "\n".join(names) + "\n")
    shutil.copy(arguments.run / "metrics.csv", PACKAGE / f"{BUNDLED}.metrics.csv")


def _training_chains(settings: dict[str, Any]) -> list[str]:
    """Names of the chains of the training split that are short enough."""
    store = ChainStore.open(Path(settings["store"]))
    chains = settings["chains"]
    low, high = chains["min_length"], chains["max_length"]
    return [
        store.name(int(index))
        for index in store.split("train")
        if low <= store.lengths[index] <= high
    ]


def _start(line: dict[str, Any]) -> dict[str, Any]:
    kept = ("time", "after_step", "foldwright", "torch", "python", "device", "changes")
    return {key: line[key] for key in kept if key in line}


def _scores(summary: dict[str, Any]) -> dict[str, Any]:
    kept = ("designs", "failed", "shortest", "longest", "gates", "secondary_structure")
    return {key: summary[key] for key in kept}


if __name__ == "__main__":
    main()
