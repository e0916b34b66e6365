"""Put the weights of a run into the package, with their provenance, scores and logs.

    python recipes/bundled_peptide/bundle.py RUN ENCODER_RUN COMMIT --scores SCORES.json

RUN is a folder of `foldwright train peptide` at stage 1, ENCODER_RUN one of stage encoder, COMMIT
the version of the code that trained them, and SCORES what `benchmarks/peptide_quality.py` printed
about peptides of `last.safetensors` of RUN, by name.
"""

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

from foldwright.models.peptide.weights import (
    BUNDLED,
    PeptideCard,
    load_peptide_weights,
    save_peptide_weights,
)
from foldwright.runtime.weight_files import read_card

PACKAGE = Path(__file__).parents[2] / "src/foldwright/models/peptide/bundled"


def main() -> None:
    """Read the runs named on the command line and write the files of the package."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("encoder_run", type=Path)
    parser.add_argument("commit")
    parser.add_argument("--scores", type=Path)
    arguments = parser.parse_args()
    weights = arguments.run / "last.safetensors"
    encoder_card = read_card(PeptideCard, arguments.encoder_run / "last.safetensors")
    card = read_card(PeptideCard, weights)
    provenance: dict[str, Any] = {
        **_story(card.provenance),
        "commit": arguments.commit,
        "minutes": _minutes(arguments.run),
        "encoder": {
            **_story(encoder_card.provenance),
            "minutes": _minutes(arguments.encoder_run),
        },
        "licence": "Apache-2.0",
        "rights": "The weights hold no sequence; digests of 8 bytes tell whether a peptide is one "
        "of those trained on. The table they were trained on gathers public databases, some of "
        "which do not allow redistribution, and is not part of this project.",
    }
    if arguments.scores is not None:
        provenance["scores"] = json.loads(arguments.scores.read_text())
    target = PACKAGE / f"{BUNDLED}.safetensors"
    save_peptide_weights(load_peptide_weights(weights), target, provenance=provenance)
    shutil.copy(arguments.run / "metrics.csv", PACKAGE / f"{BUNDLED}.metrics.csv")
    shutil.copy(arguments.encoder_run / "metrics.csv", PACKAGE / f"{BUNDLED}.encoder-metrics.csv")


def _story(provenance: dict[str, Any]) -> dict[str, Any]:
    """The provenance of a run without the folders of the machine it ran on."""
    experiment = dict(provenance["experiment"])
    for key in ("store", "encoder_weights", "start_weights"):
        experiment.pop(key, None)
    kept = ("time", "after_step", "foldwright", "torch", "python", "device", "changes")
    starts = [{k: start[k] for k in kept if k in start} for start in provenance["starts"]]
    return {**provenance, "experiment": experiment, "starts": starts}


def _minutes(run: Path) -> float:
    """Minutes that training took, validation and saving left out, from the rates in its log."""
    lines = (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [row for row in map(json.loads, lines) if row["kind"] == "train"]
    before = [0, *(row["samples"] for row in rows)]
    seconds = sum(
        (row["samples"] - earlier) / row["samples_per_second"]
        for row, earlier in zip(rows, before, strict=False)
    )
    return round(seconds / 60, 1)


if __name__ == "__main__":
    main()
